"""A start that waits for PostgreSQL: which errors are worth another try, how often, how long."""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg

from ... import faults, servers
from ...checking.examination import Examination
from ...servers.server import Server
from .worth_a_retry import rounded, what_goes_away, what_stays, works

TITLE = "a start that waits for PostgreSQL"

HINTS = (
    "Which of lesson 01's errors go away by themselves, and which stay until somebody changes "
    "something?",
    "OSError and CannotConnectNowError are worth a retry, but OSError is wide: look at lesson "
    "01's last table for those of its kinds that waiting does not fix.",
    "A loop: connect with a `timeout` of a few seconds, or of what is left of the patience; on an "
    "error that goes away, raise if the patience is over, else sleep, no longer than it lasts, "
    "and double the pause.",
)

TRAPS = {
    "every error": "A wrong password was tried again and again. It stays wrong, and many an "
    "account is locked after a few.",
    "forever": "The patience was over and it went on: the log never says why this service does "
    "not start.",
    "between tries": "The patience is looked at between two tries only. One try alone can last 60 "
    "seconds, the default of connect(timeout=).",
    "no pause": "It asked again at once, and again: hundreds of log-ins a second, from one "
    "process.",
}

TOO_LATE = 2.5  # seconds, with a patience of 1 s
SHUTTING_DOWN = "the database system is shutting down"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        postgres = stack.postgres
        outcome = await exam.run(postgres.dsn(), 5.0, limit=8)
        exam.criterion("PostgreSQL is up", *await works(exam, outcome), timed=True)
        if not outcome.returned:
            return
        await what_goes_away(exam, postgres)
        await what_stays(exam, postgres)
        await _patience(exam, postgres)
        await _pauses(exam, postgres)


async def _patience(exam: Examination, postgres: Server) -> None:
    with postgres.down():
        leaves = exam.start(postgres.dsn(), 5.0, limit=8)
        await leaves.wait(0.2)
        leaves.cancel()
        await leaves.wait(1)
        ended = leaves.done()
        gone = await leaves
        outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
    exam.criterion(
        "it is cancelled while it waits: it ends, with the cancellation",
        ended and isinstance(gone.error, asyncio.CancelledError),
        str(gone) if ended else "it went on",
        timed=True,
    )
    too_early = outcome.seconds <= 0.7
    patient = not too_early and exam.in_time(outcome.seconds, TOO_LATE)
    when = "" if patient or outcome.hung else ", too early" if too_early else ", too late"
    exam.criterion(
        "PostgreSQL stays away: when the patience of 1 s is over, the last error arrives",
        isinstance(outcome.error, ConnectionRefusedError) and patient,
        f"{outcome}{when}",
    )
    if outcome.hung:
        exam.trap("forever")

    with postgres.paused():
        outcome = await exam.run(postgres.dsn(), 1.0, limit=3)
    in_time = not outcome.hung and exam.in_time(outcome.seconds, TOO_LATE)
    exam.criterion(
        "PostgreSQL accepts and never answers: the same",
        isinstance(outcome.error, OSError) and in_time,
        str(outcome),
    )
    if outcome.hung and "forever" not in exam.fallen:
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
        rounded(tries),
        timed=True,
    )
    if hammered:
        exam.trap("no pause")


async def _tries_without_a_pause(postgres: Server, seconds: float) -> int:
    """How often this machine can ask a server that refuses."""
    tries, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(asyncpg.CannotConnectNowError):
            await asyncpg.connect(postgres.dsn(), timeout=seconds)
        tries += 1
    return tries
