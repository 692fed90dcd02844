"""A column, while a report reads: a lock that is waited for keeps everybody waiting."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .under_load import migrate

TITLE = "a column, while a report reads"

HINTS = (
    "Which lock does ALTER TABLE need, and which one has the report? Who waits for whom then?",
    "An ALTER TABLE that waits for its lock makes each later request wait behind it. It must not "
    "wait for long, and may try again.",
    "`set local lock_timeout = '50ms'` and the ALTER in one transaction; on LockNotAvailableError "
    "a pause, then both again in a new transaction, until it succeeds or a deadline has passed.",
)

TRAPS = {
    "queue": "The migration waited for the report, and every customer waited behind the migration.",
    "gave up": "The migration gave up before the report had ended. The report ends by itself; "
    "try again until then.",
    "aborted": "After an error the transaction takes no statement until it is rolled back. Each "
    "try needs a new one.",
    "killed": "Somebody's transaction was ended to make room, and its work is lost.",
    "silent": "The function returned without an error, and the column is not there.",
}

REPORT = "select sum(price_cents) from seats"
COLUMN = """
    select is_nullable, column_default from information_schema.columns
    where table_name = 'seats' and column_name = 'zone'"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        outcome, queue = await migrate(
            exam, stack.postgres, _look_at_the_seats, REPORT, "the report", lock_timeout="8s"
        )
        column = await look.fetchrow(COLUMN)
        rows = column and await look.fetchval("select count(*) from seats where zone = 'stalls'")
        exam.criterion(
            "seats.zone is there: NOT NULL, default 'stalls', in all rows",
            column is not None
            and column["is_nullable"] == "NO"
            and "stalls" in (column["column_default"] or "")
            and rows == 500,
            "it is not there"
            if column is None
            else f"nullable: {column['is_nullable'].lower()}, "
            f"default: {column['column_default']}, in {rows} rows",
        )
        if queue:
            exam.trap("queue")
        elif isinstance(
            outcome.error, asyncpg.LockNotAvailableError | asyncpg.QueryCanceledError | TimeoutError
        ):
            exam.trap("gave up")
        elif outcome.returned and column is None:
            exam.trap("silent")


async def _look_at_the_seats(conn: Any, _: int) -> None:
    await conn.fetch("select label, status from seats where event_id = 5")
