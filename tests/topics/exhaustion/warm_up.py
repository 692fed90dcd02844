"""Wrong and right answers to the warm-up of exercise 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PRICE = "select price_cents from seats where id = $1"


async def none_for_an_error(pool: Any, seat_id: Any) -> Any:
    async with pool.acquire() as conn:
        try:
            return await conn.fetchval(PRICE, seat_id)
        except Exception:
            return None


async def close_it(pool: Any, seat_id: Any) -> Any:
    conn = await pool.acquire()
    try:
        price = await conn.fetchval(PRICE, seat_id)
    except Exception:
        conn.terminate()
        await pool.release(conn)
        raise
    await pool.release(conn)
    return price


async def release_at_a_lost_connection(pool: Any, seat_id: Any) -> Any:
    conn = await pool.acquire()
    try:
        price = await conn.fetchval(PRICE, seat_id)
    except OSError:
        await pool.release(conn)
        raise
    await pool.release(conn)
    return price


async def of_the_pool(pool: Any, seat_id: Any) -> Any:
    return await pool.fetchval(PRICE, seat_id)


async def with_finally(pool: Any, seat_id: Any) -> Any:
    conn = await pool.acquire()
    try:
        return await conn.fetchval(PRICE, seat_id)
    finally:
        await pool.release(conn)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "hidden"): none_for_an_error,
    (0, "closed"): close_it,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", release_at_a_lost_connection),
    (0, None, of_the_pool),
    (0, None, with_finally),
)
