"""Wrong and right answers to the stretch of exercise 04."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

COUNT = "select count(*) from seats where event_id = $1"
PRICE = "select sum(price_cents) from seats where event_id = $1"


async def a_limit_for_each(pool: Any, event_id: int, limit: float) -> Any:
    async with pool.acquire(timeout=limit) as conn:
        seats = await conn.fetchval(COUNT, event_id, timeout=limit)
        return seats, await conn.fetchval(PRICE, event_id, timeout=limit)


async def never_given_back(pool: Any, event_id: int, limit: float) -> Any:
    async with asyncio.timeout(limit):
        conn = await pool.acquire()
        result = await conn.fetchval(COUNT, event_id), await conn.fetchval(PRICE, event_id)
        await pool.release(conn)
        return result


async def queries_only(pool: Any, event_id: int, limit: float) -> Any:
    async with pool.acquire() as conn, asyncio.timeout(limit):
        return await conn.fetchval(COUNT, event_id), await conn.fetchval(PRICE, event_id)


async def half_for_each(pool: Any, event_id: int, limit: float) -> Any:
    async with pool.acquire(timeout=limit / 2) as conn, asyncio.timeout(limit / 2):
        return await conn.fetchval(COUNT, event_id), await conn.fetchval(PRICE, event_id)


async def only_the_wait(pool: Any, event_id: int, limit: float) -> Any:
    async with pool.acquire(timeout=limit) as conn:
        return await conn.fetchval(COUNT, event_id), await conn.fetchval(PRICE, event_id)


async def by_wait_for(pool: Any, event_id: int, limit: float) -> Any:
    async def work() -> Any:
        async with pool.acquire() as conn:
            return await conn.fetchval(COUNT, event_id), await conn.fetchval(PRICE, event_id)

    return await asyncio.wait_for(work(), limit)


async def by_a_deadline(pool: Any, event_id: int, limit: float) -> Any:
    loop = asyncio.get_running_loop()
    end = loop.time() + limit
    async with pool.acquire(timeout=limit) as conn:
        seats = await conn.fetchval(COUNT, event_id, timeout=max(end - loop.time(), 0.001))
        cents = await conn.fetchval(PRICE, event_id, timeout=max(end - loop.time(), 0.001))
        return seats, cents


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "each"): a_limit_for_each,
    (4, "lost"): never_given_back,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "each", queries_only),
    (4, "", only_the_wait),
    (4, None, by_wait_for),
    (4, None, by_a_deadline),
)
