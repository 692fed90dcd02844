"""Warm-up: orders one after the other, and not all at once."""

from __future__ import annotations

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "one after the other, and not all at once"

HINTS = (
    'Lesson 13, "a cursor whose transaction ends": what does a cursor live in?',
    "async for … in conn.cursor(…) fetches some rows at a time, inside a transaction.",
    "async with conn.transaction(): async for row in conn.cursor(QUERY): tell(row[0])",
)

TRAPS = {
    "all": "All rows came in one answer: with a million of them, all are in memory at once.",
}

IDS = "select id from orders order by id"
MORE = """insert into orders (customer_id, total_cents, basket)
          select 1, 7300, '{}' from generate_series(1, 5000)"""


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        await (await admin(stack)).execute(MORE)
        conn = await asyncpg.connect(tap.dsn())
        right = [row[0] for row in await conn.fetch(IDS)]
        told: list[int] = []
        tap.clear()
        outcome = await exam.run(conn, told.append)
        in_parts = any(event.message == "PortalSuspended" for event in tap.events)
        usable = not conn.is_closed() and not conn.is_in_transaction()
        exam.criterion(
            "more than 5,000 orders: each is told once, in the order of the ids, and they come in "
            "several answers",
            outcome.returned and told == right and in_parts and usable,
            (f"{len(told)} of {len(right)}" if outcome.returned else str(outcome))
            + ("" if in_parts or not told else ", in one answer")
            + ("" if usable else ", and a transaction is left open"),
        )
        if outcome.returned and told == right and not in_parts:
            exam.trap("all")
        conn.terminate()
