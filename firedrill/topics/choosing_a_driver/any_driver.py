"""Stretch: one retry for whichever driver has met the conflict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from ...servers.stack import Stack

TITLE = "one retry for every driver"

HINTS = (
    'Lesson 17, "The retry that never tries again": what do the errors of asyncpg, of psycopg and '
    "of SQLAlchemy have in common? Print type(error), and where each keeps what PostgreSQL said.",
    "PostgreSQL says 40001 or 40P01. asyncpg's and psycopg's errors have it as sqlstate; "
    "SQLAlchemy's keeps the driver's error in orig, and that one has it.",
    'except Exception as error: code = getattr(getattr(error, "orig", error), "sqlstate", None); '
    "raise, unless it is one of the two and attempts are left; then await asyncio.sleep(…) for a "
    "random time that grows.",
)

TRAPS = {
    "one driver": "It knows the classes of one driver: the same conflict arrived at the caller "
    "when another one met it.",
    "wrapped": "The drivers' own errors were seen, and not those that SQLAlchemy wraps: they have "
    "no sqlstate, and the error in them has.",
    "everything": "It tried again after an error that comes again each time, or after which "
    "nobody knows what has been done.",
    "without a pause": "It tried again at once: those who have met do so again.",
}

CONFLICT, DEADLOCK, TAKEN = "40001", "40P01", "23505"
RAISE = "do $$ begin raise exception 'refused' using errcode = '{}'; end $$"
PAUSE = 0.02  # seconds, at least
SAID = {CONFLICT: "a conflict", DEADLOCK: "a deadlock", TAKEN: "a unique violation"}
Query = Callable[[str], Awaitable[Any]]


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        async with AsyncExitStack() as opened:
            drivers = await _drivers(stack, opened)
            await _Retries(exam, drivers).check(stack)


async def _drivers(stack: Stack, opened: AsyncExitStack) -> dict[str, Query]:
    """Each runs a query in its own way, and raises its own errors."""
    dsn = stack.postgres.dsn()
    conn = await asyncpg.connect(dsn)
    opened.callback(conn.terminate)
    other = await opened.enter_async_context(
        await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    )
    drivers: dict[str, Query] = {"asyncpg": conn.execute, "psycopg": other.execute}
    for driver in ("asyncpg", "psycopg"):
        engine = create_async_engine(dsn.replace("postgresql:", f"postgresql+{driver}:"))
        opened.push_async_callback(engine.dispose)

        async def run(query: str, engine: Any = engine) -> Any:
            async with engine.begin() as connection:
                return await connection.execute(text(query))

        drivers[f"SQLAlchemy on {driver}"] = run
    return drivers


class _Attempts:
    """What the learner's code is to repeat. Fails with each of `codes`, and then returns 7."""

    def __init__(self, query: Query, *codes: str) -> None:
        self.query, self.codes = query, codes
        self.errors: list[BaseException] = []
        self.calls = 0
        self.pauses: list[float] = []
        self.ended = 0.0

    async def __call__(self) -> int:
        if self.calls:
            self.pauses.append(time.monotonic() - self.ended)
        self.calls += 1
        try:
            if self.calls <= len(self.codes):
                await self.query(RAISE.format(self.codes[self.calls - 1]))
            return 7
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.ended = time.monotonic()


class _Retries:
    def __init__(self, exam: Examination, drivers: dict[str, Query]) -> None:
        self.exam, self.drivers = exam, drivers

    async def check(self, stack: Stack) -> None:
        pauses: list[float] = []
        failed: list[str] = []
        for driver, query in self.drivers.items():
            attempts = _Attempts(query, CONFLICT, DEADLOCK)
            outcome = await self.exam.run(attempts)
            pauses += attempts.pauses
            if outcome.value != 7 or attempts.calls != 3:
                failed.append(f"{driver}: {outcome} after {_times(attempts)}")
        self.exam.criterion(
            f"a conflict, a deadlock, then a result, by {', '.join(self.drivers)}: the result",
            not failed,
            failed[0] if failed else "it comes back at the third attempt",
        )
        await self._gives_up()
        repeated = await self._other_errors(stack)
        await self._is_cancelled()
        at_once = [pause for pause in pauses if pause < PAUSE]
        self.exam.criterion(
            f"it pauses before each further attempt, {PAUSE * 1000:g} ms at least",
            bool(pauses) and not at_once,
            "it does" if pauses and not at_once else "it does not",
        )
        names = {line.partition(":")[0] for line in failed}
        if repeated:
            self.exam.trap("everything")
        elif names == {name for name in self.drivers if name.startswith("SQLAlchemy")}:
            self.exam.trap("wrapped")
        elif len(names) == 3 and names & {"asyncpg", "psycopg"}:
            self.exam.trap("one driver")
        elif at_once:
            self.exam.trap("without a pause")

    async def _gives_up(self) -> None:
        wrong = []
        for driver, query in self.drivers.items():
            attempts = _Attempts(query, *[CONFLICT] * 9)
            outcome = await self.exam.run(attempts)
            if attempts.calls != 3 or outcome.error is not attempts.errors[-1]:
                wrong.append(f"{driver}: {outcome} after {_times(attempts)}")
        self.exam.criterion(
            "a conflict each time: three attempts, and the error of the third arrives",
            not wrong,
            wrong[0] if wrong else "it arrives",
        )

    async def _other_errors(self, stack: Stack) -> bool:
        """Whether something was repeated that must not be."""
        cases = {
            f"{SAID[TAKEN]}, by {driver}": _Attempts(query, TAKEN)
            for driver, query in self.drivers.items()
        }
        cases["a ValueError"] = _Attempts(_bug, TAKEN)
        lost = await asyncpg.connect(stack.postgres.dsn())
        look = await admin(stack)

        async def lose(_: str) -> None:
            await look.execute("select pg_terminate_backend($1, 5000)", lost.get_server_pid())
            await lost.execute("select 1")

        cases["a lost connection"] = _Attempts(lose, TAKEN)
        wrong, repeated = [], False
        for what, attempts in cases.items():
            outcome = await self.exam.run(attempts)
            repeated = repeated or attempts.calls > 1
            if attempts.calls != 1 or outcome.error is not attempts.errors[0]:
                wrong.append(f"{what}: {outcome} after {_times(attempts)}")
        lost.terminate()
        self.exam.criterion(
            "any other error, of PostgreSQL or not: it arrives, unchanged, after one attempt",
            not wrong,
            wrong[0] if wrong else "it does",
        )
        return repeated

    async def _is_cancelled(self) -> None:
        begun = asyncio.Event()
        calls = 0

        async def waits() -> None:
            nonlocal calls
            calls += 1
            begun.set()
            await asyncio.Event().wait()

        running = self.exam.start(waits)
        await until(lambda: begun.is_set() or running.done(), "its attempt has begun")
        ended = not running.done() and await running.end()
        outcome: Outcome = await running
        arrives = isinstance(outcome.error, asyncio.CancelledError)
        self.exam.criterion(
            "cancelled in an attempt: it ends, and makes no other",
            ended and arrives and calls == 1,
            "it ends" if ended and arrives and calls == 1 else f"{outcome} after {calls} attempts",
        )


async def _bug(_: str) -> None:
    raise ValueError("not a number: seven")


def _times(attempts: _Attempts) -> str:
    return f"{attempts.calls} attempt{'s' * (attempts.calls != 1)}"
