"""Exercise 01: the module with which Encore's services connect."""

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
from ...expect import describe, public_name
from ...servers.server import SUPERUSER, Server
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "01_connecting"


# Task 1: a DSN for every user and password

LOG_INS = {
    "a password of letters and digits": ("encore", "Spring2026"),
    "a password with @": ("encore", "p@ss"),
    "a password with #": ("encore", "p#ss"),
    "a password with / and :": ("encore", "a/b:c"),
    "a password with %": ("encore", "50%41"),
    "a password with a space": ("encore", "two words"),
    "a password with +": ("encore", "one+one"),
    "a user with @": ("shop@encore", "Spring2026"),
}


async def _dsn(exam: Examination) -> None:
    good = {}
    with servers.open() as stack:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        await admin.execute('create role "shop@encore" login')
        for what, (user, password) in LOG_INS.items():
            await admin.execute(
                f'alter role "{user}" password {await admin.fetchval("select quote_literal($1)", password)}'
            )
            outcome = await exam.run(
                user, password, stack.postgres.host, stack.postgres.port, "encore", plain=True
            )
            good[what], seen = await _log_in(outcome)
            exam.criterion(what, good[what], seen)
            if not outcome.returned:
                return  # seven times the same would tell no more
        await admin.close()
    bad = [what for what, works in good.items() if not works and what != "a user with @"]
    if good["a password with @"] and not good["a password with #"]:
        exam.trap("one character")
    elif bad == ["a password with / and :"]:
        exam.trap("slash")
    elif bad == ["a password with a space"]:
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
    with servers.open() as stack, tempfile.TemporaryDirectory() as folder:
        postgres = stack.postgres

        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        exam.criterion("PostgreSQL is up", *await _works(outcome))
        if not outcome.returned:
            return

        async with faults.starting_up(postgres, 0.7):
            outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
            works = await _works(outcome)
        exam.criterion("PostgreSQL is starting up, and done in under a second", *works)

        postgres.stop()
        back = asyncio.create_task(_start_after(0.4, postgres))
        with patch("socket.getaddrinfo", _two_addresses):
            outcome = await exam.run(
                postgres.dsn().replace(postgres.host, "db.encore.example"), 5.0, limit=8
            )
        exam.criterion(
            "nothing listens on any address of the name; PostgreSQL is back in half a second",
            *await _works(outcome),
        )
        await back

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
            type(outcome.error) is ConnectionError and outcome.seconds < 1.5,
            str(outcome),
        )
        stranger = Path(folder, "another-authority.pem")
        trustme.CA().cert_pem.write_to_path(str(stranger))
        await tls.enable(postgres, trustme.CA())
        outcome = await exam.run(
            f"{postgres.dsn()}?sslmode=verify-full&sslrootcert={stranger}", 3.0, limit=4
        )
        exam.criterion(
            "the certificate is not to be trusted: the error arrives at once",
            isinstance(outcome.error, ssl.SSLError) and outcome.seconds < 1.5,
            public_name(type(outcome.error)),
        )
        await tls.disable(postgres)

        with postgres.down():
            outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
        patient = 0.7 < outcome.seconds < 2.5
        exam.criterion(
            "PostgreSQL stays away: when the patience of 1 s is over, the last error arrives",
            isinstance(outcome.error, ConnectionRefusedError) and patient,
            str(outcome)
            + (
                ""
                if patient or outcome.hung
                else ", too early"
                if outcome.seconds < 1
                else ", too late"
            ),
        )
        if outcome.hung:
            exam.trap("for ever")

        with postgres.paused():
            outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
        exam.criterion(
            "PostgreSQL accepts and never answers: the same",
            isinstance(outcome.error, OSError) and not outcome.hung and outcome.seconds < 2.5,
            str(outcome),
        )
        if outcome.hung and "for ever" not in exam.fallen:
            exam.trap("between tries")

        async with faults.shutting_down(postgres):
            before = postgres.log().count("the database system is shutting down")
            await exam.run(postgres.dsn(), 1.0, limit=3)
            tries = postgres.log().count("the database system is shutting down") - before
            hammered = (
                tries > 40 or 10 < tries > await _tries_without_a_pause(postgres, 1.0) / 2
            )  # a busy machine
        exam.criterion(
            "PostgreSQL refuses for a second: it is asked a few times, not hammered",
            tries >= 2 and not hammered,
            _times(tries),
        )
        if hammered:
            exam.trap("no pause")


_lookup = socket.getaddrinfo


def _two_addresses(host: Any, *arguments: Any, **options: Any) -> Any:
    """A name with two addresses, on every machine; PostgreSQL listens on the second."""
    hosts = ["127.0.0.2", "127.0.0.1"] if host == "db.encore.example" else [host]
    return [address for one in hosts for address in _lookup(one, *arguments, **options)]


async def _tries_without_a_pause(postgres: Server, seconds: float) -> int:
    """How often this machine can ask a server that refuses."""
    tries, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(asyncpg.CannotConnectNowError):
            await asyncpg.connect(postgres.dsn(), timeout=seconds)
        tries += 1
    return tries


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
    return (
        "1 try"
        if tries == 1
        else f"{tries} tries"
        if tries < 2
        else "more than 40 tries"
        if tries > 40
        else "a few tries"
    )


# Task 3: TLS that can tell Encore's server from another


async def _tls(exam: Examination) -> None:
    ours, public, nobody = trustme.CA(), trustme.CA(), trustme.CA()
    with servers.open() as stack, tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder, f"{name}-ca.pem")) for name in ("encore", "public")}
        ours.cert_pem.write_to_path(files["encore"])
        public.cert_pem.write_to_path(files["public"])
        # What this machine trusts, for as long as the check lasts: https://docs.openssl.org/3.0/man7/openssl-env/
        with patch.dict("os.environ", SSL_CERT_FILE=files["public"]):
            outcome = await exam.run(files["encore"], plain=True)
            if not outcome.returned or outcome.value in (None, ...):
                exam.criterion(
                    "something to give to asyncpg's `ssl` comes back", False, str(outcome)
                )
                return
            clear = await _connect(stack.postgres, outcome.value)
            await tls.enable(stack.postgres, ours)
            own = await _connect(stack.postgres, outcome.value)
            await tls.enable(stack.postgres, nobody)
            stranger = await _connect(stack.postgres, outcome.value)
            await tls.enable(stack.postgres, public)
            listed = await _connect(stack.postgres, outcome.value)
            await tls.enable(stack.postgres, ours, "reports.encore.example")
            other = await _connect(stack.postgres, outcome.value)
    exam.criterion("Encore's own server is accepted", own == "connected, encrypted", own)
    exam.criterion("a server without TLS is refused", clear == "refused", clear)
    exam.criterion(
        "a server whose certificate nobody knows is refused", stranger == "refused", stranger
    )
    exam.criterion(
        "a server with a certificate of a public authority is refused", listed == "refused", listed
    )
    exam.criterion(
        "another server of Encore's, with its own name in its certificate, is refused",
        other == "refused",
        other,
    )
    if clear.startswith("connected"):
        exam.trap("prefer")
    elif stranger.startswith("connected"):
        exam.trap("encrypted only")
    elif own == "refused" and listed.startswith("connected"):
        exam.trap("public authorities")
    elif listed.startswith("connected"):
        exam.trap("public authorities, too")
    elif other.startswith("connected"):
        exam.trap("any name")


async def _connect(postgres: Server, given: Any) -> str:
    try:
        connection = await asyncpg.connect(postgres.dsn(), ssl=given, timeout=5)
    except ssl.SSLCertVerificationError:
        return "refused"
    except ConnectionError as error:
        return (
            "refused" if "rejected SSL upgrade" in str(error) else describe(error).splitlines()[0]
        )
    except Exception as error:  # of another kind: asyncpg did not get as far as the certificate
        return f"not reached, {describe(error).splitlines()[0]}"
    encrypted = await connection.fetchval(
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    )
    await connection.close()
    return "connected, encrypted" if encrypted else "connected, in clear text"


DRILL = Drill(
    NAME,
    "Exercise 01: the module with which Encore's services connect",
    (
        Task(
            1,
            "a DSN for every user and password",
            _dsn,
            drill=NAME,
            hints=(
                "Print the DSN for the password p@ss, and read it as a program must: where does the host begin?",
                "A DSN is a URL: a character that separates its parts has to be percent-encoded inside a part. asyncpg decodes "
                "user, password and database again.",
                "The standard library's urllib.parse has a function that percent-encodes a string. Read what its parameter `safe` is "
                "by default, and how it differs from its neighbour for HTML forms.",
            ),
            traps={
                "one character": "Only the character that failed first is encoded. The password is somebody else's choice: the next one "
                "holds a # or a %.",
                "slash": "quote() leaves the slash as it is, since it was made for paths. In a password it ends the host.",
                "form": "quote_plus() writes a space as +, as HTML forms do. In a DSN a + is a plus.",
            },
        ),
        Task(
            2,
            "a start that waits for PostgreSQL",
            _ready,
            drill=NAME,
            hints=(
                "Which of lesson 01's errors go away by themselves, and which stay until somebody changes something?",
                "OSError and CannotConnectNowError are worth a retry, but OSError is wide: look at lesson 01's last table for those of "
                "its kinds that no waiting mends.",
                "A loop: connect with a `timeout` of a few seconds, or of what is left of the patience; on an error that goes away, "
                "raise if the patience is over, else sleep, no longer than it lasts, and double the pause.",
            ),
            traps={
                "every error": "A wrong password was tried again and again. It stays wrong, and many an account is locked after a few.",
                "for ever": "The patience was over and it went on: whoever waits for this service never learns why it does not start.",
                "between tries": "The patience is looked at between two tries only. One try alone can last 60 seconds, the default of "
                "connect(timeout=).",
                "no pause": "It asked again at once, and again: hundreds of log-ins a second, from one process.",
            },
        ),
        Task(
            3,
            "TLS that can tell Encore's server from another",
            _tls,
            drill=NAME,
            hints=(
                "The starter encrypts. Against whom? Lesson 01 connects with 'require' to a server that signed its own certificate.",
                "asyncpg takes an ssl.SSLContext. A context decides three things: which authorities it trusts, whether it checks the "
                "certificate, whether it checks the name.",
                "ssl.create_default_context() checks both, and has a parameter for a file with the authorities to trust in place of "
                "the machine's.",
            ),
            traps={
                "prefer": 'Without TLS on the other side it went on in clear text. Whoever sits in between says "no TLS here".',
                "encrypted only": "Encrypted, to a stranger: the certificate of an authority that nobody at Encore knows was accepted.",
                "any name": "Any certificate of Encore's opens this door: the one of the reporting server was accepted for the shop's.",
                "public authorities": "Encore's own server is refused: its certificate is signed by Encore's authority, and this trusts "
                "only the public authorities of the machine.",
                "public authorities, too": "Encore's authority was added to the public ones. Whoever gets a certificate for this name "
                "from any of them is let in as well.",
            },
        ),
    ),
)
