"""Warm-up: a migration that does not wait in front of everybody."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "a migration that does not queue for long"

HINTS = (
    'Lesson 12, "lock queues": who waits behind an ALTER TABLE that waits?',
    "PostgreSQL has a limit for waiting for a lock; it is a setting.",
    "async with conn.transaction(): set local lock_timeout = '0.5s', then the ALTER TABLE.",
)

TRAPS = {
    "queue": "It waits for as long as the report reads, and everybody who wants the table waits "
    "behind it.",
    "left": "The limit has stayed in the session: the next statements of the migration have it.",
}

LIMIT = 0.5  # seconds
COLUMN = (
    "select count(*) from pg_attribute where attrelid = 'orders'::regclass and attname = 'note'"
)


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        report = look.transaction()
        await report.start()
        await look.fetchval("select count(*) from orders")
        waited = await exam.run(conn, limit=LIMIT + 2)
        await report.rollback()
        told = isinstance(waited.error, asyncpg.LockNotAvailableError)
        if conn.is_closed():
            conn = await asyncpg.connect(stack.postgres.dsn())
        free = await exam.run(conn)
        there = await look.fetchval(COLUMN)
        left = await conn.fetchval("show lock_timeout") if not conn.is_closed() else "0"
        in_time = told and exam.in_time(waited.seconds, LIMIT + 0.7)
        exam.criterion(
            f"a report reads the table: LockNotAvailableError after {LIMIT} s; nobody is in the "
            "way: the column is there; and no limit is left in the session",
            in_time and free.returned and there == 1 and left == "0",
            ("the error" if in_time else str(waited))
            + ("; the column" if there else f"; {free}")
            + ("" if left == "0" else f"; lock_timeout is {left}"),
        )
        if waited.hung:
            exam.trap("queue")
        elif left != "0":
            exam.trap("left")
        conn.terminate()
