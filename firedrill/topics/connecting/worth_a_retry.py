"""Errors that go away, and errors that stay: what a start that waits does with each."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import trustme

from ... import faults, tls
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...expect import public_name
from ...servers.server import ROLE, Server
from .peers import NAME, name_of, that_hangs_up

AT_ONCE = 1.5  # seconds


async def what_goes_away(exam: Examination, postgres: Server) -> None:
    async with faults.starting_up(postgres, 0.7):
        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        seen = await works(exam, outcome)
    exam.criterion("PostgreSQL is starting up, and done in under a second", *seen, timed=True)

    postgres.stop()
    back = asyncio.create_task(_start_after(0.4, postgres))
    named = postgres.dsn(host=NAME)
    with name_of("127.0.0.2", postgres.host):  # PostgreSQL listens on the second
        outcome = await exam.run(named, 5.0, limit=8)
    exam.criterion(
        "nothing listens on any address of the name; PostgreSQL is back in half a second",
        *await works(exam, outcome),
        timed=True,
    )
    await back

    with name_of(postgres.host, error=socket.EAI_AGAIN, times=2):
        outcome = await exam.run(named, 5.0, limit=8)
        seen = await works(exam, outcome)
    exam.criterion("the resolver has no answer, twice: then it connects", *seen, timed=True)

    look = await admin(postgres)
    await look.execute(f"alter role {ROLE} connection limit 0")
    running = exam.start(postgres.dsn(), 5.0, limit=8)
    await running.wait(0.5)
    await look.execute(f"alter role {ROLE} connection limit -1")
    await look.close()
    seen = await works(exam, await running)
    exam.criterion("there are too many connections (53300), for half a second", *seen, timed=True)

    async with that_hangs_up() as (port, times):
        dsn = postgres.dsn(port=port)
        outcome = await exam.run(dsn, 1.0, limit=3)
        tries = times()
    exam.criterion(
        "a proxy accepts and hangs up: it is asked again, and then the error arrives",
        bool(outcome.error) and tries > 2,
        str(outcome) if tries > 2 else f"{outcome}, at the first try",
        timed=True,
    )


async def what_stays(exam: Examination, postgres: Server) -> None:
    before = _log_ins_refused(postgres)
    outcome = await exam.run(postgres.dsn(password="wrong"), 1.0, limit=3)
    tries = _log_ins_refused(postgres) - before
    exam.criterion(
        "the password is wrong: the error arrives after one try",
        isinstance(outcome.error, asyncpg.InvalidPasswordError) and tries == 1,
        f"{outcome}; {rounded(tries)}",
    )
    if tries > 1:
        exam.trap("every error")

    named = postgres.dsn(host=NAME)
    with name_of(error=socket.EAI_NONAME) as asked:
        outcome = await exam.run(named, 1.0, limit=3)
    exam.criterion(
        "there is no host of this name: the error arrives after one try",
        isinstance(outcome.error, socket.gaierror) and len(asked) == 1,
        f"{public_name(type(outcome.error))}; {rounded(len(asked))}",
    )
    outcome = await exam.run("postgresql://encore@/encore?host=/no/such/folder", 3.0, limit=4)
    exam.criterion(
        "the folder of the socket does not exist: the error arrives at once",
        isinstance(outcome.error, FileNotFoundError) and exam.in_time(outcome.seconds, AT_ONCE),
        str(outcome),
    )

    outcome = await exam.run(postgres.dsn() + "?sslmode=require", 3.0, limit=4)
    exam.criterion(
        "TLS is demanded, and the server has none: the error arrives at once",
        type(outcome.error) is ConnectionError and exam.in_time(outcome.seconds, AT_ONCE),
        str(outcome),
    )
    with tempfile.TemporaryDirectory() as folder:
        stranger = Path(folder, "another-authority.pem")
        trustme.CA().cert_pem.write_to_path(str(stranger))
        await tls.enable(postgres, trustme.CA())
        outcome = await exam.run(
            f"{postgres.dsn()}?sslmode=verify-full&sslrootcert={stranger}", 3.0, limit=4
        )
    exam.criterion(
        "the certificate is not to be trusted: the error arrives at once",
        isinstance(outcome.error, ssl.SSLError) and exam.in_time(outcome.seconds, AT_ONCE),
        public_name(type(outcome.error)),
    )
    await tls.disable(postgres)


async def _start_after(seconds: float, postgres: Server) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postgres.start)


async def works(exam: Examination, outcome: Outcome) -> tuple[bool, str]:
    """Whether a connection came back and answers, and what was seen."""
    if not isinstance(outcome.value, asyncpg.Connection):
        return False, str(outcome)
    used = await exam.call(_use, outcome.value)
    if not used.returned:
        return False, f"a connection came back that does not work: {used}"
    return True, "connected"


async def _use(conn: Any) -> None:
    await conn.fetchval("select 1", timeout=2)
    await conn.close(timeout=2)


def _log_ins_refused(postgres: Server) -> int:
    return postgres.log().count("password authentication failed")


def rounded(tries: int) -> str:
    """Rounded where it varies with the machine's load."""
    if tries > 40:
        return "more than 40 tries"
    if tries > 1:
        return "a few tries"
    return "1 try" if tries == 1 else f"{tries} tries"
