"""Warm-up: what asyncpg has prepared."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "what asyncpg has prepared"

HINTS = (
    "PostgreSQL lists the statements that a session has prepared: pg_prepared_statements.",
    "Your own question is a query of this connection as well. What happens to it before it runs?",
    "Leave out the statements whose text names pg_prepared_statements.",
)

TRAPS = {
    "itself": "Your own question is among them: asyncpg prepares it before PostgreSQL answers it.",
    "another": "The list is that of another session: each session sees its own statements only.",
}

QUERIES = ("select 1", "select $1::int", "select 1", "select count(*) from events")


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        for query in QUERIES:
            await conn.fetch(query, *([7] if "$1" in query else []))
        first = await exam.run(conn)
        await conn.fetch("select 'a fourth one'")
        second = await exam.run(conn)
        met = (first.value, second.value) == (3, 4)
        exam.criterion(
            "four queries, of which two are the same: 3; after another one: 4",
            met,
            f"{first}; {second}",
        )
        if first.value == 4:
            exam.trap("itself")
        elif (first.value, second.value) == (0, 0):
            exam.trap("another")
        await look.close()
        conn.terminate()
