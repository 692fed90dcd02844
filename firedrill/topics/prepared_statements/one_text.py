"""Warm-up: one statement, however many seats are asked for."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "one text for all seats"

HINTS = (
    "What is the text of the query, for one seat and for the next?",
    "asyncpg keeps a statement for each text. What changes from call to call can be an argument.",
    '`await conn.fetchval("select price_cents from seats where id = $1", seat)`',
)

TRAPS = {
    "one for each": "Each seat makes another text, and each text another prepared statement, which "
    "asyncpg and PostgreSQL keep.",
}

SEATS = 30
KEPT = "select count(*) from pg_prepared_statements where statement not like '%prepared%'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        prices = dict(
            await look.fetch("select id, price_cents from seats order by id limit $1", SEATS)
        )
        conn = await asyncpg.connect(stack.postgres.dsn())
        wrong = None
        for seat, price in [*prices.items(), (0, None)]:
            outcome = await exam.run(conn, seat)
            if not wrong and not (outcome.returned and outcome.value == price):
                wrong = f"seat {seat}: {outcome}"
        kept = await look.fetchval("select 0") if conn.is_closed() else await conn.fetchval(KEPT)
        exam.criterion(
            f"{SEATS} seats, and one that does not exist: the prices are right, the connection "
            "keeps one statement",
            not wrong and kept <= 1,
            wrong or f"all are right; statements: {kept}",
        )
        if kept > 1:
            exam.trap("one for each")
        conn.terminate()
