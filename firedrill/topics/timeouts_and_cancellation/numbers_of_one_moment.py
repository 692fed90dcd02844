"""Two numbers that belong together: asked for at once, for many pages, while seats are sold."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "two numbers that belong together"

HINTS = (
    "A connection does one thing at a time. Which two things happen on it at once?",
    "A second connection for the second query: then each page that has one waits for another. "
    "And two statements see the data at two moments.",
    "One statement sees one moment: `count(*) filter (where …)` counts twice in a single query. A "
    'transaction with isolation="repeatable_read" does it as well.',
)

TRAPS = {
    "each other": "Every page holds one connection and waits for a second one, forever.",
    "moments": "The two numbers are not of one moment: while seats were sold, they did not add up "
    "to the number of seats.",
    "lock": "While another customer was buying a seat, the page waited: it locks what it counts, "
    "so pages and sales stop each other.",
    "stale": "The numbers are those of an earlier page: since then a seat has been sold.",
}

EXPECTED = """
    select count(*) filter (where status = 'free'), count(*) filter (where status = 'sold')
    from seats where event_id = 1"""
SMALL = """
    insert into events select 6, title, venue, starts_at, on_sale_at from events where id = 1;
    insert into seats (event_id, label, price_cents, status)
    select 6, 'A' || n, 1000, 'free' from generate_series(1, 7) n;
    insert into seats (event_id, label, price_cents, status) values (6, 'B1', 1000, 'held')"""
TIMES = 300  # that the numbers are asked for, while they change


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        dsn = stack.postgres.dsn()
        expected = tuple(await look.fetchrow(EXPECTED))

        pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
        alone = await exam.run(pool, 1)
        pair = _pair(alone.value)
        seen = "right" if pair == expected else "other numbers came back"
        exam.criterion(
            "nobody else is there: free and sold seats",
            pair == expected,
            seen if pair else str(alone),
        )

        await look.execute(SMALL)
        other = [await exam.run(pool, event) for event in (6, 7)]
        exam.criterion(
            "an event with seven free seats and a held one, one without seats",
            [_pair(one.value) for one in other] == [(7, 0), (0, 0)],
            "; ".join(map(str, other)),
        )
        is_locked, is_stale = await _while_a_seat_is_sold(exam, stack, pool)

        before = time.monotonic()
        crowd = await asyncio.gather(*(exam.run(pool, 1, limit=4) for _ in range(20)))
        expected = tuple(await look.fetchrow(EXPECTED))
        served = sum(_pair(one.value) == expected for one in crowd)
        exam.criterion(
            "20 pages at once, 4 connections: all are served",
            served == 20,
            f"{served} of 20 in {time.monotonic() - before:.1f} s" if served < 20 else "20 of 20",
            timed=True,
        )
        waiting = sum(one.hung for one in crowd)
        pool.terminate()

        pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
        await look.execute("update seats set status = 'free' where event_id = 2")
        total = await look.fetchval("select count(*) from seats where event_id = 2")
        odd = asked = 0
        async with _sold_and_taken_back(look):
            while served == 20 and asked < TIMES and not odd:
                outcome = await exam.run(pool, 2)
                asked += 1
                odd += not (pair := _pair(outcome.value)) or sum(pair) != total
        times = "they did not, once" if odd else f"{asked} of {asked} times"
        exam.criterion(
            "while all seats of an event are sold and taken back: the numbers add up",
            not odd and asked > 0,
            times if asked else "not asked",
        )
        pool.terminate()
    if waiting:
        exam.trap("each other")
    elif is_locked:
        exam.trap("lock")
    elif is_stale:
        exam.trap("stale")
    elif odd:
        exam.trap("moments")


async def _while_a_seat_is_sold(
    exam: Examination, stack: servers.Stack, pool: Any
) -> tuple[bool, bool]:
    """Whether a page waits for a sale, and whether it shows the numbers from before it."""
    seller = await admin(stack)
    before = tuple(await seller.fetchrow(EXPECTED))
    await seller.execute("begin")
    await seller.execute(
        "update seats set status = 'sold' where id = "
        "(select min(id) from seats where event_id = 1 and status = 'free')"
    )
    during = await exam.run(pool, 1, limit=2)
    await seller.execute("commit")
    after = tuple(await seller.fetchrow(EXPECTED))
    await seller.close()
    exam.criterion(
        "a seat is being sold: the page is answered, in two seconds, with the seat free",
        _pair(during.value) == before,
        str(during),
        timed=True,
    )
    later = await exam.run(pool, 1)
    exam.criterion(
        "it has been sold: the next page shows it", _pair(later.value) == after, str(later)
    )
    return during.hung, _pair(later.value) == before


@contextlib.asynccontextmanager
async def _sold_and_taken_back(conn: Any) -> AsyncIterator[None]:
    """All seats of event 2, again and again."""

    async def sell_and_take_back() -> None:
        while True:
            for status in ("sold", "free"):
                await conn.execute(f"update seats set status = '{status}' where event_id = 2")

    selling = asyncio.create_task(sell_and_take_back())
    try:
        yield
    finally:
        selling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await selling


def _pair(value: object) -> tuple[int, int] | None:
    if isinstance(value, tuple) and len(value) == 2:
        first, second = value
        if isinstance(first, int) and isinstance(second, int):
            return first, second
    return None
