"""Warm-up: two thousand rows, and not two thousand round trips."""

from __future__ import annotations

import asyncpg

from ... import servers, wire
from ...checking.examination import Examination

TITLE = "not a round trip for each row"

HINTS = (
    'Lesson 07, "A loop": what does each await of execute() wait for?',
    "asyncpg can send many rows for one statement, or copy them into the table.",
    'await conn.executemany("insert into tickets values ($1, $2)", rows)',
)

TRAPS = {
    "one by one": "Each row waits for PostgreSQL's answer before the next one is sent: on a "
    "network, the time is rows times round trip.",
    "part": "After a row that PostgreSQL refuses, a part of the rows was stored.",
}

ROWS = [(number, f"A{number}") for number in range(1, 2001)]
TABLE = "create table tickets (id int primary key, label text not null)"
MOST = 20  # round trips


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        conn = await asyncpg.connect(tap.dsn())
        await conn.execute(TABLE)
        tap.clear()
        outcome = await exam.run(conn, ROWS, limit=20)
        trips = sum(event.message == "ReadyForQuery" for event in tap.events)
        stored = await conn.fetchval("select count(*) from tickets")
        await conn.execute("truncate tickets")
        refused = await exam.run(conn, [*ROWS, (1, "twice")], limit=20)
        told = isinstance(refused.error, asyncpg.UniqueViolationError)
        part = await conn.fetchval("select count(*) from tickets")
        exam.criterion(
            f"{len(ROWS)} rows are stored in at most {MOST} round trips; with a duplicate among "
            "them: UniqueViolationError, and none",
            outcome.returned and stored == len(ROWS) and trips <= MOST and told and part == 0,
            (f"{stored} stored" if outcome.returned else str(outcome))
            + ("" if trips <= MOST else ", in more than that")
            + f"; then {part}"
            + ("" if told else f", {refused}"),
        )
        if outcome.returned and trips > 100:
            exam.trap("one by one")
        elif told and part:
            exam.trap("part")
        conn.terminate()
