"""The shop whose pools a check puts under pressure, and calls that are made all at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination, Running
from ...checking.outcome import Outcome
from ...checking.waiting import until
from ...servers import Stack
from ...servers.server import ROLE

END_THEM = f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ROLE}'"
# Of a backend that has left pg_stat_activity: it has its slot until this no longer finds it.
ARE_THERE = "select coalesce(bool_or(pg_terminate_backend(pid)), false) from unnest($1::int[]) pid"
SLOTS = 4  # that PostgreSQL gives the shop's role: a larger pool meets 53300


class Opened:
    """What the learner's function returned, and every pool that was made meanwhile."""

    def __init__(self, outcome: Outcome, pools: list[asyncpg.Pool]) -> None:
        self.outcome, self._pools = outcome, pools

    async def lost(self) -> int:
        """Connections still borrowed after a while: a release takes a round trip or two."""
        await until(lambda: not self._borrowed(), "every connection is back", 2)
        return self._borrowed()

    def _borrowed(self) -> int:
        return sum(pool.get_size() - pool.get_idle_size() for pool in self._pools)


class Shop:
    """The servers of one check, with a superuser who looks."""

    def __init__(self, stack: Stack, look: Any) -> None:
        self.stack, self.look = stack, look

    async def sessions(self, condition: str = "true") -> set[int]:
        rows = await self.look.fetch(
            f"select pid from pg_stat_activity where usename = '{ROLE}' and {condition}"
        )
        return {row["pid"] for row in rows}

    async def wait_for(self, count: int, condition: str) -> None:
        """At least so many sessions are in that state, or three seconds are over."""

        async def enough() -> bool:
            return len(await self.sessions(condition)) >= count

        await until(enough, f"{count} sessions have {condition}", 3)

    @contextlib.asynccontextmanager
    async def open(self, exam: Examination) -> AsyncIterator[Opened]:
        """The learner's function is called, and all that it has opened is closed at the end."""
        with _recorded() as pools:
            try:
                yield Opened(await exam.run(self.stack.postgres.dsn()), pools)
            finally:
                await self._close(pools)

    async def _close(self, pools: list[asyncpg.Pool]) -> None:
        """Until PostgreSQL has all slots of the role again."""
        known = await self.sessions()
        for pool in pools:
            with contextlib.suppress(asyncpg.InterfaceError):  # one that never came to be
                pool.terminate()

        async def gone() -> bool:
            known.update(await self.sessions())
            if await self.look.fetch(END_THEM):
                return False
            return not await self.look.fetchval(ARE_THERE, list(known))

        await until(gone, "the sessions of the shop have ended", 10)


@contextlib.asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(f"alter role {ROLE} connection limit {SLOTS}")
        try:
            yield Shop(stack, look)
        finally:
            look.terminate()


@contextlib.contextmanager
def _recorded() -> Iterator[list[asyncpg.Pool]]:
    """The pools that are made meanwhile, however they are called."""
    made: list[asyncpg.Pool] = []
    original = asyncpg.Pool.__init__

    @functools.wraps(original)
    def note(pool: asyncpg.Pool, *arguments: Any, **options: Any) -> None:
        original(pool, *arguments, **options)
        made.append(pool)

    with patch.object(asyncpg.Pool, "__init__", note):
        yield made


def call(
    exam: Examination, service: Callable[..., Any], calls: Sequence[Sequence[Any]], limit: float
) -> list[Running]:
    """All are under way at once."""
    return [exam.start(*arguments, of=service, limit=limit) for arguments in calls]


async def results(running: Sequence[Running]) -> list[Outcome]:
    return list(await asyncio.gather(*running))


async def at_once(
    exam: Examination, service: Callable[..., Any], calls: Sequence[Sequence[Any]], limit: float
) -> list[Outcome]:
    return await results(call(exam, service, calls, limit))


def refused(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(one.error, asyncpg.TooManyConnectionsError) for one in outcomes)


def told(one: Outcome) -> bool:
    """An error says what is wrong: whichever class, but no time-out and no lack of slots."""
    return isinstance(one.error, Exception) and not isinstance(
        one.error, (OSError, asyncpg.TooManyConnectionsError)
    )


def timed_out(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(one.error, TimeoutError) for one in outcomes)


def ended(outcomes: Sequence[Outcome]) -> str:
    """How many calls were answered, failed, were still waiting."""
    hung = sum(one.hung for one in outcomes)
    failed = [one for one in outcomes if one.error]
    text = f"{len(outcomes) - hung - len(failed)} of {len(outcomes)} were answered"
    if failed:
        kinds = sorted({type(one.error).__name__ for one in failed})
        text += f", {len(failed)} failed ({', '.join(kinds)})"
    limit = max(one.limit for one in outcomes)
    return text + (f", {hung} were still waiting after {limit:g} s" if hung else "")


def back(lost: int) -> str:
    return "all came back" if not lost else f"{lost} never came back"


def opens(exam: Examination, opened: Opened, what: str, services: int = 1) -> bool:
    """Whether the learner's function gave what it should: a function, or so many of them."""
    value = opened.outcome.value
    found = [value] if services == 1 else list(value) if isinstance(value, (tuple, list)) else []
    if len(found) == services and all(callable(one) for one in found):
        return True
    exam.criterion(f"{what} opens", False, str(opened.outcome))
    if refused([opened.outcome]):
        exam.trap("more")
    return False
