"""Stretch: a password that changes while the pool is open."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "a password that changes"

HINTS = (
    "When does a pool log in? At the start, and whenever it opens a connection later.",
    "What asyncpg gets as a password may be a function; then it is called at each log-in.",
    "asyncpg.create_pool(dsn, password=current, min_size=1, max_size=2)",
)

TRAPS = {
    "once": "The password was read once, at the start: connections that are opened later are "
    "refused.",
    "each": "A connection is opened for each request: the pool is there to save that.",
}

FIRST, SECOND = "p@ss/1 #%", "another one"
SESSIONS = "select count(*) from pg_stat_activity where usename = 'till'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(f"create role till login password '{FIRST}'")
        await look.execute("grant select on seats to till")
        now = FIRST
        asked = 0

        async def current() -> str:
            nonlocal asked
            asked += 1
            return now

        postgres = stack.postgres
        dsn = f"postgresql://till@127.0.0.1:{postgres.port}/encore"
        outcome = await exam.run(dsn, current)
        pool = outcome.value
        if not isinstance(pool, asyncpg.Pool):
            exam.criterion("a pool comes back", False, str(outcome))
            return
        try:
            first = await exam.call(_sessions, pool, 5)
            logins = asked
            exam.criterion(
                "five requests, one after the other, have one session",
                first.value == 1,
                str(first) if not first.returned else f"{first.value}",
            )
            await look.execute(f"alter role till password '{SECOND}'")
            now = SECOND
            open_ones = await exam.call(_sessions, pool, 1)
            exam.criterion(
                "the password changes: the sessions that are open go on",
                open_ones.returned,
                "they do" if open_ones.returned else str(open_ones),
            )
            await pool.expire_connections()
            later = await exam.call(_sessions, pool, 1)
            exam.criterion(
                "and those that are opened later use the new one",
                later.returned,
                "they do" if later.returned else str(later),
            )
            if isinstance(later.error, asyncpg.InvalidPasswordError):
                exam.trap("once")
            elif first.returned and first.value > 1 and logins >= 5:
                exam.trap("each")
        finally:
            pool.terminate()


async def _sessions(pool: asyncpg.Pool, requests: int) -> int:
    """How many backends have answered so many requests."""
    return len({await pool.fetchval("select pg_backend_pid()") for _ in range(requests)})
