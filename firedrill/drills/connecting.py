"""Exercise 01: the module with which Encore's services connect."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path

import asyncpg
import trustme

from .. import faults, servers, tls
from ..expect import describe
from ..servers.server import ROLE, SUPERUSER, Server
from .attempt import Outcome
from .drill import Drill, Examination, Task

NAME = "01_connecting"


# Task 1: a DSN for every password

PASSWORDS = {"of letters and digits": "Spring2026", "with @": "p@ss", "with #": "p#ss", "with / and :": "a/b:c",
             "with %": "50%41", "with a space": "two words", "with +": "one+one"}


async def _dsn(exam: Examination) -> None:
    good = {}
    with servers.open() as stack:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        for what, password in PASSWORDS.items():
            quoted = await admin.fetchval("select quote_literal($1)", password)
            await admin.execute(f"alter role {ROLE} password {quoted}")
            outcome = await exam.run(ROLE, password, stack.postgres.host, stack.postgres.port, "encore")
            good[what], seen = await _log_in(outcome)
            exam.criterion(f"a password {what}", good[what], seen)
        await admin.close()
    if good["with @"] and not good["with #"]:
        exam.trap("one character")
    elif good["with #"] and not good["with / and :"]:
        exam.trap("slash")
    elif good["with / and :"] and not good["with a space"]:
        exam.trap("form")


async def _log_in(outcome: Outcome) -> tuple[bool, str]:
    if not isinstance(outcome.value, str):
        return False, f"no DSN came back: {outcome}"
    try:
        connection = await asyncpg.connect(outcome.value, timeout=5)
    except Exception as error:
        return False, describe(error).splitlines()[0]
    await connection.close()
    return True, "logged in"


# Task 2: a start that waits for PostgreSQL

async def _ready(exam: Examination) -> None:
    with servers.open() as stack:
        postgres = stack.postgres

        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        exam.criterion("PostgreSQL is up", *await _works(outcome))

        async with faults.starting_up(postgres, 0.7):
            outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
            works = await _works(outcome)
        exam.criterion("PostgreSQL is starting up, and done in under a second", *works)

        postgres.stop()
        back = asyncio.create_task(_start_after(0.4, postgres))
        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        exam.criterion("nothing listens; PostgreSQL is back in half a second", *await _works(outcome))
        await back

        before = _log_ins_refused(postgres)
        outcome = await exam.run(postgres.dsn().replace(postgres.password, "wrong"), 1.0, limit=3)
        tries = _log_ins_refused(postgres) - before
        exam.criterion("the password is wrong: the error arrives after one try",
                       isinstance(outcome.error, asyncpg.InvalidPasswordError) and tries == 1, f"{outcome}; {_times(tries)}")
        if tries > 1:
            exam.trap("every error")

        with postgres.down():
            outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
        exam.criterion("PostgreSQL stays away: the error arrives when the patience of 1 s is over",
                       isinstance(outcome.error, OSError) and not outcome.hung and outcome.seconds < 2.5, str(outcome))
        if outcome.hung:
            exam.trap("for ever")

        with postgres.paused():
            outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
        exam.criterion("PostgreSQL accepts and never answers: the same",
                       isinstance(outcome.error, OSError) and not outcome.hung and outcome.seconds < 2.5, str(outcome))
        if outcome.hung and "for ever" not in exam.fallen:
            exam.trap("between tries")

        async with faults.shutting_down(postgres):
            before = postgres.log().count("the database system is shutting down")
            await exam.run(postgres.dsn(), 1.0, limit=3)
            tries = postgres.log().count("the database system is shutting down") - before
        exam.criterion("PostgreSQL refuses for a second: it is asked a few times, not hammered", 2 <= tries <= 40, _times(tries))
        if tries > 40:
            exam.trap("no pause")


async def _start_after(seconds: float, postgres: Server) -> None:
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postgres.start)


async def _works(outcome: Outcome) -> tuple[bool, str]:
    """Whether a connection came back and answers, and what was seen."""
    if not isinstance(outcome.value, asyncpg.Connection):
        return False, str(outcome)
    try:
        await outcome.value.fetchval("select 1", timeout=2)
        await outcome.value.close(timeout=2)
    except Exception as error:
        return False, f"a connection came back that does not work: {describe(error)}"
    return True, "connected"


def _log_ins_refused(postgres: Server) -> int:
    return postgres.log().count("password authentication failed")


def _times(tries: int) -> str:
    """Rounded where it varies with the machine's load."""
    return "1 try" if tries == 1 else f"{tries} tries" if tries < 2 else "more than 40 tries" if tries > 40 else "a few tries"


# Task 3: TLS that can tell Encore's server from another

async def _tls(exam: Examination) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    with servers.open() as stack, tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder, "encore-ca.pem")
        ours.cert_pem.write_to_path(str(ca_file))
        outcome = await exam.run(str(ca_file))
        if not outcome.returned or outcome.value is ...:
            exam.criterion("something to give to asyncpg's `ssl` comes back", False, str(outcome))
            return

        async def connect() -> str:
            try:
                connection = await asyncpg.connect(stack.postgres.dsn(), ssl=outcome.value, timeout=5)
            except Exception as error:
                return "not verified" if isinstance(error, ssl.SSLCertVerificationError) else describe(error).splitlines()[0]
            encrypted = await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
            await connection.close()
            return "connected, encrypted" if encrypted else "connected, in clear text"

        def refused(what: str, seen: str) -> bool:
            exam.criterion(what, not seen.startswith("connected"), "refused" if not seen.startswith("connected") else seen)
            return not seen.startswith("connected")

        in_clear_text = refused("a server without TLS is refused", await connect())
        await tls.enable(stack.postgres, ours)
        own = await connect()
        exam.criterion("Encore's own server", own == "connected, encrypted", own)
        await tls.enable(stack.postgres, theirs)
        stranger = refused("a server with a certificate of somebody else's authority is refused", await connect())
        await tls.enable(stack.postgres, ours, "reports.encore.example")
        other = refused("another server of Encore's, with its own name in its certificate, is refused", await connect())
    if not in_clear_text:
        exam.trap("prefer")
    elif not stranger:
        exam.trap("encrypted only")
    elif not other:
        exam.trap("any name")
    elif own == "not verified":
        exam.trap("public authorities")


DRILL = Drill(NAME, "Exercise 01: the module with which Encore's services connect", (
    Task(1, "a DSN for every password", _dsn, drill=NAME, hints=(
        "Print the DSN for the password p@ss, and read it as a program must: where does the host begin?",
        "A DSN is a URL: a character that separates its parts has to be percent-encoded inside a part. asyncpg decodes "
        "user, password and database again.",
        "The standard library's urllib.parse has a function that percent-encodes a string. Read what its parameter `safe` is "
        "by default, and how it differs from its neighbour for HTML forms.",
    ), traps={
        "one character": "Only the character that failed first is encoded. The password is somebody else's choice: the next one "
                         "holds a # or a %.",
        "slash": "quote() leaves the slash as it is, since it was made for paths. In a password it ends the host.",
        "form": "quote_plus() writes a space as +, as HTML forms do. In a DSN a + is a plus.",
    }),
    Task(2, "a start that waits for PostgreSQL", _ready, drill=NAME, hints=(
        "Which of lesson 01's errors go away by themselves, and which stay until somebody changes something?",
        "Retry OSError and CannotConnectNowError, and nothing else. OSError covers ConnectionRefusedError, the dual-stack error "
        "and TimeoutError.",
        "A loop: connect with a `timeout` of what is left of the patience; on one of these errors, raise if the next pause would "
        "end after the deadline, else sleep and double the pause.",
    ), traps={
        "every error": "A wrong password was tried again and again: it stays wrong, and accounts get locked.",
        "for ever": "The patience was over and it went on: whoever waits for this service never learns why it does not start.",
        "between tries": "The patience is looked at between two tries only. One try alone can last 60 seconds, the default of "
                         "connect(timeout=).",
        "no pause": "It asked again at once: a thousand processes that do this keep a server from coming back.",
    }),
    Task(3, "TLS that can tell Encore's server from another", _tls, drill=NAME, hints=(
        "The starter encrypts. Against whom? Lesson 01 connects with 'require' to a server that signed its own certificate.",
        "asyncpg takes an ssl.SSLContext. A context decides three things: which authorities it believes, whether it checks the "
        "certificate, whether it checks the name.",
        "ssl.create_default_context() checks both, and has a parameter for a file with the authorities to believe.",
    ), traps={
        "prefer": "Without TLS on the other side it went on in clear text. Whoever sits in between says \"no TLS here\".",
        "encrypted only": "Encrypted, to a stranger: the certificate of an authority that nobody at Encore knows was accepted.",
        "any name": "Any certificate of Encore's opens this door: the one of the reporting server was accepted for the shop's.",
        "public authorities": "Encore's own server is refused: its authority is none of the web's, which this machine believes.",
    }),
))
