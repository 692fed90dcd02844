"""A start that waits for PostgreSQL: which errors are worth another try, how often, how long."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import trustme

from ... import faults, servers, tls
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...expect import public_name
from ...servers.server import Server

TITLE = "a start that waits for PostgreSQL"

HINTS = (
    "Which of lesson 01's errors go away by themselves, and which stay until somebody changes "
    "something?",
    "OSError and CannotConnectNowError are worth a retry, but OSError is wide: look at lesson "
    "01's last table for those of its kinds that no waiting mends.",
    "A loop: connect with a `timeout` of a few seconds, or of what is left of the patience; on an "
    "error that goes away, raise if the patience is over, else sleep, no longer than it lasts, "
    "and double the pause.",
)

TRAPS = {
    "every error": "A wrong password was tried again and again. It stays wrong, and many an "
    "account is locked after a few.",
    "for ever": "The patience was over and it went on: whoever waits for this service never "
    "learns why it does not start.",
    "between tries": "The patience is looked at between two tries only. One try alone can last 60 "
    "seconds, the default of connect(timeout=).",
    "no pause": "It asked again at once, and again: hundreds of log-ins a second, from one "
    "process.",
}

AT_ONCE = 1.5  # seconds
TOO_LATE = 2.5  # seconds, with a patience of 1 s
SHUTTING_DOWN = "the database system is shutting down"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        postgres = stack.postgres
        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        exam.criterion("PostgreSQL is up", *await _works(exam, outcome), timed=True)
        if not outcome.returned:
            return
        await _what_goes_away(exam, postgres)
        await _what_stays(exam, postgres)
        await _patience(exam, postgres)
        await _pauses(exam, postgres)


async def _what_goes_away(exam: Examination, postgres: Server) -> None:
    async with faults.starting_up(postgres, 0.7):
        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        works = await _works(exam, outcome)
    exam.criterion("PostgreSQL is starting up, and done in under a second", *works, timed=True)

    postgres.stop()
    back = asyncio.create_task(_start_after(0.4, postgres))
    with patch("socket.getaddrinfo", _two_addresses):
        dsn = postgres.dsn().replace(postgres.host, "db.encore.example")
        outcome = await exam.run(dsn, 5.0, limit=8)
    exam.criterion(
        "nothing listens on any address of the name; PostgreSQL is back in half a second",
        *await _works(exam, outcome),
        timed=True,
    )
    await back


async def _what_stays(exam: Examination, postgres: Server) -> None:
    before = _log_ins_refused(postgres)
    outcome = await exam.run(postgres.dsn().replace(postgres.password, "wrong"), 1.0, limit=3)
    tries = _log_ins_refused(postgres) - before
    exam.criterion(
        "the password is wrong: the error arrives after one try",
        isinstance(outcome.error, asyncpg.InvalidPasswordError) and tries == 1,
        f"{outcome}; {_times(tries)}",
    )
    if tries > 1:
        exam.trap("every error")

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


async def _patience(exam: Examination, postgres: Server) -> None:
    with postgres.down():
        outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
    too_early = outcome.seconds <= 0.7
    patient = not too_early and exam.in_time(outcome.seconds, TOO_LATE)
    when = "" if patient or outcome.hung else ", too early" if too_early else ", too late"
    exam.criterion(
        "PostgreSQL stays away: when the patience of 1 s is over, the last error arrives",
        isinstance(outcome.error, ConnectionRefusedError) and patient,
        f"{outcome}{when}",
    )
    if outcome.hung:
        exam.trap("for ever")

    with postgres.paused():
        outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
    in_time = not outcome.hung and exam.in_time(outcome.seconds, TOO_LATE)
    exam.criterion(
        "PostgreSQL accepts and never answers: the same",
        isinstance(outcome.error, OSError) and in_time,
        str(outcome),
    )
    if outcome.hung and "for ever" not in exam.fallen:
        exam.trap("between tries")


async def _pauses(exam: Examination, postgres: Server) -> None:
    async with faults.shutting_down(postgres):
        before = postgres.log().count(SHUTTING_DOWN)
        await exam.run(postgres.dsn(), 1.0, limit=3)
        tries = postgres.log().count(SHUTTING_DOWN) - before
        hammered = tries > 40
        if 10 < tries <= 40:  # many, for a busy machine
            hammered = tries > await _tries_without_a_pause(postgres, 1.0) / 2
    exam.criterion(
        "PostgreSQL refuses for a second: it is asked a few times, not hammered",
        tries >= 2 and not hammered,
        _times(tries),
        timed=True,
    )
    if hammered:
        exam.trap("no pause")


_lookup = socket.getaddrinfo


def _two_addresses(host: Any, *arguments: Any, **options: Any) -> Any:
    """A name with two addresses, on every machine; PostgreSQL listens on the second."""
    hosts = ["127.0.0.2", "127.0.0.1"] if host == "db.encore.example" else [host]
    return [address for one in hosts for address in _lookup(one, *arguments, **options)]


async def _start_after(seconds: float, postgres: Server) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postgres.start)


async def _tries_without_a_pause(postgres: Server, seconds: float) -> int:
    """How often this machine can ask a server that refuses."""
    tries, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(asyncpg.CannotConnectNowError):
            await asyncpg.connect(postgres.dsn(), timeout=seconds)
        tries += 1
    return tries


async def _works(exam: Examination, outcome: Outcome) -> tuple[bool, str]:
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


def _times(tries: int) -> str:
    """Rounded where it varies with the machine's load."""
    if tries > 40:
        return "more than 40 tries"
    if tries > 1:
        return "a few tries"
    return "1 try" if tries == 1 else f"{tries} tries"
