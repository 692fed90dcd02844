"""Wrong and right answers to the warm-up of exercise 04."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

PRICE = "select price_cents from seats where id = $1"


async def limit_the_session(conn: Any, seat_id: int) -> Any:
    await conn.execute("set statement_timeout = '0.5s'")
    try:
        return await conn.fetchval(PRICE, seat_id)
    except asyncpg.QueryCanceledError:
        raise TimeoutError from None


async def stop_to_wait(conn: Any, seat_id: int) -> Any:
    query = asyncio.ensure_future(conn.fetchval(PRICE, seat_id))
    done, _ = await asyncio.wait({query}, timeout=0.5)
    if not done:
        raise TimeoutError
    return query.result()


async def another_error(conn: Any, seat_id: int) -> Any:
    async with conn.transaction():
        await conn.execute("set local statement_timeout = '0.5s'")
        return await conn.fetchval(PRICE, seat_id)


async def limit_around_it(conn: Any, seat_id: int) -> Any:
    async with asyncio.timeout(0.5):
        return await conn.fetchval(PRICE, seat_id)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "left"): limit_the_session,
    (0, "abandoned"): stop_to_wait,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", another_error),
    (0, None, limit_around_it),
)
