"""Warm-up: a connection that comes back after an error, too."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination

TITLE = "a connection that comes back"

HINTS = (
    'Lesson 03, "a leak": on which way out of the function does release() not run?',
    "An error between acquire() and release() leaves the function before release().",
    "async with pool.acquire() as conn: gives the connection back on every way out.",
)

TRAPS = {
    "hidden": "The error was swallowed: the caller cannot tell a wrong request from an answer.",
    "closed": "The connection was closed instead of given back: the next request has to log in.",
}

PRICE = "select price_cents from seats where id = 401"
WRONG = "A1"  # a label where an id is asked for


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
        try:
            price = await pool.fetchval(PRICE)
            good = await exam.run(pool, 401)
            wrong = await exam.run(pool, WRONG)
            is_back, is_open = pool.get_idle_size() == 1, pool.get_size() == 1
            told = isinstance(wrong.error, asyncpg.DataError)
            exam.criterion(
                'seat 401 has its price, seat "A1" a DataError; then the connection is free again',
                good.returned and good.value == price and told and is_back,
                f"{good}; {wrong}; "
                + ("it is free" if is_back else "it is closed" if not is_open else "it is lost"),
            )
            if wrong.returned:
                exam.trap("hidden")
            elif told and not is_open:
                exam.trap("closed")
        finally:
            pool.terminate()
