"""What keeps an answer back in this topic, and how it is known that nothing is under way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ...checking.waiting import until
from ...servers.server import ROLE

GRACE = 0.7  # seconds, for a busy machine
SESSIONS = f"select pid, state from pg_stat_activity where usename = '{ROLE}'"


@contextlib.asynccontextmanager
async def every_connection_taken(pool: Any) -> AsyncIterator[None]:
    """One that the learner's code has not given back is taken as well.

    They go back in reverse, so that the next one to be acquired is the one that was used before:
    it has prepared the learner's statements, and sends them to a silent server at once.
    """
    async with contextlib.AsyncExitStack() as taken:
        with contextlib.suppress(TimeoutError, asyncpg.InterfaceError):  # or has closed the pool
            for _ in range(pool.get_max_size()):
                await taken.enter_async_context(pool.acquire(timeout=2))
        yield


async def nobody_works(look: Any, pool: Any) -> None:
    """Until what was waiting for the lock, or for the server, has been done, or is gone.

    A session that has not yet read what it was sent is idle, too. Where the client has given its
    connection up, the session ends when it has done that: then there are more of them than the
    pool has connections.
    """

    async def all_idle() -> bool:
        states = [row["state"] for row in await look.fetch(SESSIONS)]
        return len(states) <= pool.get_size() and all(state == "idle" for state in states)

    await until(all_idle, "nothing is under way in PostgreSQL")
