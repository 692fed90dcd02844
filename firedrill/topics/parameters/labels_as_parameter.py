"""Warm-up: a list as one parameter."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "a list as one parameter"

HINTS = (
    'Lesson 06, "IN": what does PostgreSQL see of the list, and what of a label with a quote?',
    "A list in Python is an array in PostgreSQL: one parameter, whatever its length.",
    "label = any($1::text[]), with the list as the argument.",
)

TRAPS = {
    "in the SQL": "The labels were written into the statement: the first one with a quote ends "
    "the string, and an attacker goes on from there.",
    "empty": "An empty list makes `in ()`, which is no SQL.",
}

COUNT = "select count(*) from seats where event_id = 5 and label = any($1::text[])"
LISTS: tuple[list[str], ...] = (["A1", "A2"], ["A1", "O'Hara"], [])
QUERY = "select query from pg_stat_activity where pid = $1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        outcomes = [await exam.run(conn, LISTS[0])]
        written = "A1" in (await look.fetchval(QUERY, conn.get_server_pid()) or "")
        outcomes += [await exam.run(conn, labels) for labels in LISTS[1:]]
        right = [await look.fetchval(COUNT, labels) for labels in LISTS]
        exam.criterion(
            "two labels, one of them with a quote, and none at all: each list has its count, and "
            "no label is part of the statement",
            [outcome.value for outcome in outcomes] == right and not written,
            "; ".join(map(str, outcomes)),
        )
        if written:
            exam.trap("in the SQL")
        elif isinstance(outcomes[-1].error, asyncpg.PostgresSyntaxError):
            exam.trap("empty")
        conn.terminate()
