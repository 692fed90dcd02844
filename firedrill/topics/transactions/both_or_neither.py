"""Warm-up: a seat and its payment, both or neither."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .locks import waits_for_a_lock

TITLE = "both or neither"

HINTS = (
    'Lesson 08, "Half of the work is there: a second connection".',
    "A transaction belongs to one connection. On which one does each of the two statements run?",
    "`pool.execute` takes another connection of the pool, and commits at once. Inside the block, "
    "send both statements through `conn`.",
)

TRAPS = {
    "apart": "One of the two was there without the other: they were not in one transaction. A "
    "statement that is sent through `pool` takes another connection and commits there at once.",
    "silent": "PostgreSQL refused the payment, and the caller was not told.",
}

PAID = "select count(*) from payments where order_id = $1"
STATUS = "select status from seats where id = $1"
# In whose way the sale stops: at the payment, or at the seat.
STOPS = (
    "lock table payments in exclusive mode",
    "update seats set status = 'held' where id = {}",
)


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, other = await admin(stack), await admin(stack)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        seats = [
            row["id"] for row in await look.fetch("select id from seats where status = 'free'")
        ]
        orders = [
            row["id"]
            for row in await look.fetch(
                "select id from orders where id not in (select order_id from payments)"
            )
        ]

        async def stands(seat: int, order: int) -> tuple[Any, Any]:
            return await look.fetchval(STATUS, seat), await look.fetchval(PAID, order)

        seat, order = seats.pop(), orders.pop()
        sale = await exam.run(pool, seat, order)
        is_sold = sale.returned and await stands(seat, order) == ("sold", 1)

        seat = seats.pop()
        refused = await exam.run(pool, seat, 0)
        after, _ = await stands(seat, 0)
        arrived = isinstance(refused.error, asyncpg.ForeignKeyViolationError)

        seen = []
        for stop in STOPS:
            seat, order = seats.pop(), orders.pop()
            await other.execute("begin; " + stop.format(seat))
            selling = exam.start(pool, seat, order)
            await waits_for_a_lock(stack, selling)
            seen.append(await stands(seat, order))
            await other.execute("rollback")
            await selling
        is_whole = seen == [("free", 0), ("free", 0)]
        pool.terminate()
        exam.criterion(
            "a sale: the seat is sold and paid, and nobody sees one without the other; an order "
            "that does not exist: the error arrives, and the seat is free",
            is_sold and arrived and after == "free" and is_whole,
            f"{sale}, {refused}, and the seat is {after}"
            + ("" if is_whole else "; others have seen one without the other"),
        )
        if after == "sold" or not is_whole:
            exam.trap("apart")
        elif refused.returned:
            exam.trap("silent")
