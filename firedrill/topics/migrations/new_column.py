"""A column, while a report reads: a lock that is waited for keeps everybody waiting."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .under_load import migrate

TITLE = "a column, beside a report"

HINTS = (
    "Run the check as it is, with a print of `await views.locks(...)` in mind: who waits for whom?",
    "An ALTER TABLE that waits for its lock makes everybody wait who comes after it. It must not "
    "wait for long, and may come again.",
    "`set local lock_timeout = '50ms'` and the ALTER in one transaction; on LockNotAvailableError "
    "a pause, then both again in a new transaction, until it succeeds or a deadline is over.",
)

TRAPS = {
    "queue": "The migration waited for the report, and every customer waited behind the migration.",
    "gave up": "The first time the lock was not there, the migration gave up. The report ends by "
    "itself; try again.",
    "aborted": "After an error the transaction takes no statement until it is rolled back. Each "
    "try needs one of its own.",
    "killed": "The report was ended to make room. Its work is lost, and the next one begins "
    "tomorrow at the same time.",
    "silent": "It said that all is well, and the column is not there.",
}

REPORT = "select sum(price_cents) from seats"
COLUMN = """
    select is_nullable, column_default from information_schema.columns
    where table_name = 'seats' and column_name = 'zone'"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        outcome, queue = await migrate(
            exam, stack.postgres, _look_at_the_seats, REPORT, "the report"
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
