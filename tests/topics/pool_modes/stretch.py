"""Wrong and right answers to the stretch of exercise 11."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

PID = "select pg_backend_pid()"


async def asked_twice(dsn: str) -> str:
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        pid = await conn.fetchval(PID)
        if pid == conn.get_server_pid():
            return "direct"
        return "session" if pid == await conn.fetchval(PID) else "transaction"
    finally:
        await conn.close()


async def never_closed(dsn: str) -> str:
    first = await asyncpg.connect(dsn, statement_cache_size=0)
    second = await asyncpg.connect(dsn, statement_cache_size=0)
    before = await first.fetchval(PID)
    if before == first.get_server_pid():
        await first.close()
        await second.close()
        return "direct"
    async with second.transaction():
        await second.fetchval("select 1")
        after = await first.fetchval(PID)
    await first.close()
    kept.append(second)
    return "session" if after == before else "transaction"


kept: list[Any] = []


async def by_the_database(dsn: str) -> str:
    return "direct" if dsn.endswith("/encore") else "transaction"


async def no_session_mode(dsn: str) -> str:
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        pid = await conn.fetchval(PID)
        return "direct" if pid == conn.get_server_pid() else "transaction"
    finally:
        await conn.close()


async def other_way_round(dsn: str) -> str:
    pool = await asyncpg.create_pool(dsn, min_size=2, max_size=2, statement_cache_size=0)
    async with pool, pool.acquire() as first, pool.acquire() as second:
        async with first.transaction():
            held = await first.fetchval(PID)
            if held == first.get_server_pid():
                return "direct"
        async with second.transaction():
            await second.fetchval(PID)
            again = await first.fetchval(PID)
        return "session" if again == held else "transaction"


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "alone"): asked_twice,
    (4, "left"): never_closed,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "", by_the_database),
    (4, "", no_session_mode),
    (4, None, other_way_round),
)
