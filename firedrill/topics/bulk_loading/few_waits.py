"""Warm-up: three hundred rows, and not three hundred waits."""

from __future__ import annotations

import asyncpg

from ... import servers, wire
from ...checking.examination import Examination

TITLE = "three hundred rows, a few waits"

HINTS = (
    'Lesson 07, "The import takes all night": for how many answers does a loop wait?',
    "Each `await conn.execute(…)` waits for an answer. Two methods of a connection take all rows.",
    '`await conn.executemany(insert, rows)` or `await conn.copy_records_to_table("balcony", '
    "records=rows)`",
)

TRAPS = {
    "one by one": "Each row waits for the answer to the one before it: with a network of 1 ms, a "
    "million rows take a quarter of an hour for the waiting alone.",
}

ROWS = [(f"balcony {number}", 3000 + number) for number in range(300)]
TRIPS = 20


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        await conn.execute("create table balcony (label text, price_cents int)")
        tap.clear()
        outcome = await exam.run(conn, list(ROWS), limit=15)
        trips = tap.round_trips("shop")
        conn.terminate()
        look = await asyncpg.connect(stack.postgres.dsn())
        stored = [tuple(row) for row in await look.fetch("select * from balcony")]
        is_stored = sorted(stored) == sorted(ROWS)
        exam.criterion(
            f"{len(ROWS)} rows are stored, once each, in at most {TRIPS} round trips",
            outcome.returned and is_stored and trips <= TRIPS,
            (f"{len(stored)} stored" if outcome.returned else str(outcome))
            + (f", {trips} round trips" if trips > TRIPS else ""),
        )
        if is_stored and trips >= len(ROWS):
            exam.trap("one by one")
