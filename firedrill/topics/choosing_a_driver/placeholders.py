"""Warm-up: a query of psycopg's, for asyncpg."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "placeholders, and how they are passed"

HINTS = (
    "Lesson 17: asyncpg sends the query to PostgreSQL as it is, and PostgreSQL's own placeholders "
    "are $1, $2.",
    "psycopg takes one sequence with all values, asyncpg takes each value as an argument.",
    'await conn.fetch("… any($1) and price_cents <= $2 …", labels, most)',
)

TRAPS = {
    "in the SQL": "The values were put into the text: that is what placeholders are there for.",
    "one tuple": "The values were passed as one tuple, as psycopg wants it: asyncpg counts one "
    "argument.",
}

LABELS, MOST = ["A1", "A2", "A3", "O'Hara"], 12_000
ROWS = """select label, price_cents from seats
          where event_id = 5 and label = any($1::text[]) and price_cents <= $2 order by label"""
QUERY = "select query from pg_stat_activity where pid = $1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        most = await look.fetchval(
            "select max(price_cents) from seats where event_id = 5 and label = 'A1'"
        )
        right = [dict(row) for row in await look.fetch(ROWS, LABELS, most)]
        conn = await asyncpg.connect(stack.postgres.dsn())
        outcome = await exam.run(conn, LABELS, most)
        try:
            rows = [dict(row) for row in outcome.value]
        except (TypeError, ValueError):
            rows = []
        written = "A1" in (await look.fetchval(QUERY, conn.get_server_pid()) or "")
        met = rows == right and bool(right)
        exam.criterion(
            "four labels, one of them with a quote, and a highest price: the same rows as before, "
            "and no value is part of the text",
            met and not written,
            f"{len(rows)} rows, {'the right ones' if met else 'others'}"
            if outcome.returned
            else str(outcome),
        )
        if written:
            exam.trap("in the SQL")
        elif "1 was passed" in str(outcome.error):
            exam.trap("one tuple")
        conn.terminate()
