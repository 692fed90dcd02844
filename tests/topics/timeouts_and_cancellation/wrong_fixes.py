"""Wrong fixes for exercise 04."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

ORDER = "insert into orders (customer_id, total_cents, basket) values ($1, $2, '[]') returning id"
HOLD = "update seats set status = 'held' where id = $1 and status = 'free' returning id"
FREE = "select count(*) from seats where event_id = $1 and status = 'free'"
SOLD = "select count(*) from seats where event_id = $1 and status = 'sold'"


async def wait_a_little_before_the_retry(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn:
        for seconds in deadlines:
            try:
                async with asyncio.timeout(seconds):
                    async with conn.transaction():
                        return await conn.fetchval(ORDER, customer, cents)
            except TimeoutError:
                await asyncio.sleep(0.05)
    return None


async def rollback_before_the_retry(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn:
        for seconds in deadlines:
            try:
                async with asyncio.timeout(seconds):
                    async with conn.transaction():
                        return await conn.fetchval(ORDER, customer, cents)
            except TimeoutError:
                await conn.execute("rollback")
    return None


async def without_a_transaction(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    for seconds in deadlines:
        async with pool.acquire() as conn:
            order = asyncio.ensure_future(conn.fetchval(ORDER, customer, cents))
            try:
                async with asyncio.timeout(seconds):
                    return await asyncio.shield(order)
            except TimeoutError:
                await order  # or the connection could not be used
    return None


async def one_attempt(pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]) -> Any:
    try:
        async with asyncio.timeout(deadlines[0]):
            async with pool.acquire() as conn, conn.transaction():
                return await conn.fetchval(ORDER, customer, cents)
    except TimeoutError:
        return None


async def without_deadlines(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        return await conn.fetchval(ORDER, customer, cents)


background: set[Any] = set()


async def leave_it_running(pool: Any, seat: int) -> str:
    async def hold() -> str:
        async with pool.acquire() as conn:
            return "held" if await conn.fetchval(HOLD, seat) else "busy"

    task = asyncio.ensure_future(hold())
    background.add(task)
    task.add_done_callback(background.discard)
    try:
        return await asyncio.wait_for(asyncio.shield(task), timeout=0.8)
    except TimeoutError:
        return "busy"


async def limit_the_query(pool: Any, seat: int) -> str:
    async with pool.acquire() as conn:
        try:
            return "held" if await conn.fetchval(HOLD, seat, timeout=0.4) else "busy"
        except TimeoutError:
            return "busy"


async def limit_it_from_outside(pool: Any, seat: int) -> str:
    try:
        async with asyncio.timeout(0.8), pool.acquire() as conn:
            return "held" if await conn.fetchval(HOLD, seat) else "busy"
    except TimeoutError:
        return "busy"


async def limit_each_call(pool: Any, seat: int) -> str:
    try:
        async with pool.acquire(timeout=0.3) as conn:
            return "held" if await conn.fetchval(HOLD, seat, timeout=0.3) else "busy"
    except TimeoutError:
        return "busy"


async def a_connection_for_each(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn:
        return await asyncio.gather(conn.fetchval(FREE, event), pool.fetchval(SOLD, event))


async def one_after_the_other(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn:
        return await conn.fetchval(FREE, event), await conn.fetchval(SOLD, event)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "same connection"): wait_a_little_before_the_retry,
    (1, "rollback"): rollback_before_the_retry,
    (1, "no transaction"): without_a_transaction,
    (1, "gives up"): one_attempt,
    (1, "no deadline"): without_deadlines,
    (2, "left running"): leave_it_running,
    (2, "connection"): limit_the_query,
    (2, "release"): limit_it_from_outside,
    (2, "on its way"): limit_each_call,
    (3, "each other"): a_connection_for_each,
    (3, "moments"): one_after_the_other,
}
