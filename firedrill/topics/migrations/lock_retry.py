"""Stretch: a migration that asks for its lock again."""

from __future__ import annotations

import asyncio

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until

TITLE = "five attempts for a lock"

HINTS = (
    "Which errors go away by themselves, and which come again however often you try?",
    "Each attempt is a transaction with a limit for its lock. Between two attempts nothing waits "
    "in the queue of the table.",
    "for attempt in range(5): try: transaction, set local lock_timeout, step; except "
    "LockNotAvailableError: the last time raise, else sleep",
)

TRAPS = {
    "queue": "It waits for the lock without a limit, and everybody who wants the table waits "
    "behind it.",
    "forever": "It goes on asking after five attempts: a deployment that hangs.",
    "every error": "An error that will come again was tried again.",
    "inside": "The attempts share a transaction: after the first error PostgreSQL refuses the "
    "second one.",
}

ATTEMPTS = 5
ALTER = "alter table orders add column note text"
COLUMN = (
    "select count(*) from pg_attribute where attrelid = 'orders'::regclass and attname = 'note'"
)
LIMITED = "each attempt has a lock_timeout of at most a second, and the session has none"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        calls: list[str] = []
        limits: list[str] = []
        aborted = False

        async def step(conn: asyncpg.Connection) -> None:
            """Adds the column. The report ends at the third attempt."""
            nonlocal aborted
            calls.append("add")
            if len(calls) > ATTEMPTS + 3:
                raise asyncio.CancelledError  # enough was seen
            if len(calls) == give_way:
                await report.rollback()
            try:
                limits.append(await conn.fetchval("show lock_timeout"))
            except asyncpg.InFailedSQLTransactionError:
                aborted = True
                raise
            await conn.execute(ALTER)

        async def wrong(conn: asyncpg.Connection) -> None:
            calls.append("wrong")
            if len(calls) > ATTEMPTS + 3:
                raise asyncio.CancelledError
            await conn.execute("alter table nope add column note text")

        give_way = 3
        report = look.transaction()
        await report.start()
        await look.fetchval("select count(*) from orders")
        running = exam.start(conn, step, limit=15)
        await until(lambda: limits or running.done(), "the first attempt has begun")
        if "0" in limits:
            await running.end()
            exam.criterion(LIMITED, False, "the first attempt has none")
            exam.trap("queue")
            return
        third = await running
        tried, there = len(calls), await look.fetchval(COLUMN)
        exam.criterion(
            "a report reads until the third attempt: the column is there after three",
            third.returned and there == 1 and tried == 3,
            f"{tried} attempts" if third.returned else f"{tried} attempts, {third}",
        )
        exam.criterion(
            LIMITED,
            bool(limits)
            and all(limit in ("100ms", "200ms", "250ms", "500ms", "1s") for limit in limits)
            and await _setting(conn) == "0",
            f"{sorted({*limits})}, and {await _setting(conn)} in the session",
        )
        if conn.is_closed():
            conn = await asyncpg.connect(stack.postgres.dsn())
        calls.clear()
        await look.execute("alter table orders drop column if exists note")
        if look.is_in_transaction():
            await report.rollback()
        give_way, report = 0, look.transaction()
        await report.start()
        await look.fetchval("select count(*) from orders")
        never = await exam.run(conn, step, limit=20)
        asked = len(calls)
        await report.rollback()
        told = isinstance(never.error, asyncpg.LockNotAvailableError)
        exam.criterion(
            f"a report that goes on: LockNotAvailableError after {ATTEMPTS} attempts",
            told and asked == ATTEMPTS,
            f"{asked} attempts, " + ("the error" if told else str(never)),
        )
        calls.clear()
        again = await exam.run(conn, wrong, limit=20)
        told = isinstance(again.error, asyncpg.UndefinedTableError)
        exam.criterion(
            "a table that does not exist: the error, after one attempt",
            told and len(calls) == 1,
            f"{len(calls)} attempts, " + ("the error" if told else str(again)),
        )
        if aborted:
            exam.trap("inside")
        elif asked > ATTEMPTS:
            exam.trap("forever")
        elif len(calls) > 1:
            exam.trap("every error")
        conn.terminate()


async def _setting(conn: asyncpg.Connection) -> str:
    if conn.is_closed() or conn.is_in_transaction():
        return "a session that cannot be used"
    return str(await conn.fetchval("show lock_timeout"))
