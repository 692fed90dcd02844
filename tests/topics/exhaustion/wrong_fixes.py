"""Wrong fixes for exercise 03."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg

PRICES = "select price_cents from seats where event_id = $1 and label = any($2)"


async def collects_garbage(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        except BaseException:
            await pool.release(conn)
            raise
        if len(prices) < len(labels):
            del conn
            gc.collect()
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def except_exception(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        except Exception:
            await pool.release(conn)
            raise
        await pool.release(conn)
        return sum(prices) if len(prices) == len(labels) else None

    return quote


async def a_timeout(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire(timeout=0.3)
        prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        if len(prices) < len(labels):
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def a_larger_pool(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=50)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        if len(prices) < len(labels):
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def close_what_is_bad(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
            if len(prices) < len(labels):
                raise LookupError
        except LookupError:
            await conn.close()
            return None
        except BaseException:
            await conn.close()
            raise
        await pool.release(conn)
        return sum(prices)

    return quote


TAKE = """update seats set status = 'sold'
    where event_id = 5 and label = any($1) and status = 'free' returning price_cents"""
ORDER = "insert into orders (customer_id, total_cents, basket) values ($1, $2, '{}') returning id"
PAY = "insert into payments (order_id, amount_cents, method) values ($1, $2, $3)"


async def _write(conn: Any, customer_id: int, total: int, method: str) -> int:
    order_id: int = await conn.fetchval(ORDER, customer_id, total)
    await conn.execute(PAY, order_id, total, method)
    return order_id


async def without_acquire(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for update", customer_id)
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


async def try_again(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def take_seats(labels: list[str]) -> int:
        for _ in range(3):
            try:
                async with pool.acquire(timeout=0.1) as conn:
                    return sum(row["price_cents"] for row in await conn.fetch(TAKE, labels))
            except TimeoutError:
                continue
        raise TimeoutError

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for update", customer_id)
            return await _write(conn, customer_id, await take_seats(labels), method)

    return place_order


async def twice_the_connections(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=8)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for update", customer_id)
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


async def three_orders_at_a_time(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    three = asyncio.Semaphore(3)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with three, pool.acquire() as conn, conn.transaction():
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


MAP = "select label, status from seats where event_id = $1"
REPORT = "select * from sales_report()"


async def a_timeout_of_the_query(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    reports = asyncio.Semaphore(2)

    async def seat_map(event_id: int) -> Any:
        try:
            return await pool.fetch(MAP, event_id, timeout=0.3)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        async with reports:
            return await pool.fetch(REPORT)

    return seat_map, report


async def fail_fast_alone(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        return await pool.fetch(REPORT)

    return seat_map, report


async def no_queue_at_all(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    reports, inside = asyncio.Semaphore(2), asyncio.Semaphore(4)

    async def seat_map(event_id: int) -> Any:
        if inside.locked():
            return "busy"
        async with inside:
            return await pool.fetch(MAP, event_id)

    async def report() -> Any:
        async with reports:
            return await pool.fetch(REPORT)

    return seat_map, report


async def a_limit_for_every_query(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4, command_timeout=0.25)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        return await pool.fetch(REPORT)

    return seat_map, report


async def reports_of_their_own(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        conn = await asyncpg.connect(dsn)
        try:
            return await conn.fetch(REPORT)
        finally:
            await conn.close()

    return seat_map, report


TRAPS = {
    (1, "path"): collects_garbage,
    (1, "cancelled"): except_exception,
    (1, "timeout"): a_timeout,
    (1, "more"): a_larger_pool,
    (1, "closes"): close_what_is_bad,
    (2, "hold"): without_acquire,
    (2, "gives up"): try_again,
    (2, "more"): twice_the_connections,
    (2, "apart"): three_orders_at_a_time,
    (3, "patient"): a_timeout_of_the_query,
    (3, "starved"): fail_fast_alone,
    (3, "refuses"): no_queue_at_all,
    (3, "killed"): a_limit_for_every_query,
    (3, "more"): reports_of_their_own,
}
