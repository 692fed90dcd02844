"""Stretch: one limit for all that a request does."""

from __future__ import annotations

import asyncio

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination

TITLE = "one limit for all of it"

HINTS = (
    "Add up the limits: how long may the caller wait if each step just keeps its own?",
    "asyncio has a block that ends all that is awaited in it. What asyncpg does with the "
    "cancellation is in lesson 04.",
    "async with asyncio.timeout(limit), pool.acquire() as conn: both queries",
)

TRAPS = {
    "each": "Each step has the whole limit: the wait for a connection and the query together took "
    "longer than was promised.",
    "lost": "The limit struck, and the connection did not come back to the pool.",
}

LIMIT, HELD = 1.0, 0.6  # seconds
COUNT = "select count(*) from seats where event_id = 5"
PRICE = "select sum(price_cents) from seats where event_id = 5"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
        right = (await look.fetchval(COUNT), await look.fetchval(PRICE))
        try:
            good = await exam.run(pool, 5, LIMIT)
            exam.criterion(
                "nobody is in the way: the number of seats, and their price",
                good.value == right,
                "both" if good.value == right else str(good),
            )
            conn = await pool.acquire()
            loop = asyncio.get_running_loop()
            async with look.transaction():
                await look.execute("lock table seats")
                back = loop.create_task(_give_back(pool, conn))
                late = await exam.run(pool, 5, LIMIT, limit=2 * LIMIT + 1)
                await back
            told = isinstance(late.error, TimeoutError)
            exam.criterion(
                f"a connection comes back after {HELD} s, and somebody has locked the table: "
                f"TimeoutError after {LIMIT:.0f} s in all",
                told and exam.in_time(late.seconds, LIMIT + 0.4),
                "the error"
                if told and late.seconds <= LIMIT + 0.4
                else f"after {late.seconds:.1f} s"
                if told
                else str(late),
            )
            is_back, seen = await _comes_back(pool)
            exam.criterion("and the connection is in the pool, and can be used", is_back, seen)
            if told and late.seconds > LIMIT + 0.4:
                exam.trap("each")
            elif told and not is_back:
                exam.trap("lost")
        finally:
            pool.terminate()


async def _give_back(pool: asyncpg.Pool, conn: object) -> None:
    await asyncio.sleep(HELD)  # this long it was somebody else's
    await pool.release(conn)


async def _comes_back(pool: asyncpg.Pool) -> tuple[bool, str]:
    try:
        async with pool.acquire(timeout=2) as conn:
            return await usable(conn)
    except TimeoutError:
        return False, "it is not there"
