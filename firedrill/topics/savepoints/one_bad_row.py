"""Warm-up: one bad row, and the others stay."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "one bad row"

HINTS = (
    'Lesson 09, "current transaction is aborted": what may follow an error in a transaction?',
    "A savepoint in front of each row: the error undoes the row, and the transaction goes on.",
    "In the loop: try: async with conn.transaction(): …, and count those that got through.",
)

TRAPS = {
    "aborted": "The error was caught in Python, and the transaction is aborted all the same: "
    "PostgreSQL refuses the rows after it.",
    "all": "One block around all rows: the bad one undid the good ones before it.",
}

ROWS = [(1, 100), (2, 200), (0, 300), (3, 400)]  # there is no order 0


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        before = await look.fetchval("select count(*) from payments")
        outer = conn.transaction()
        await outer.start()
        outcome = await exam.run(conn, ROWS)
        aborted = False
        try:
            await conn.fetchval("select 1")
            await outer.commit()
        except asyncpg.InFailedSQLTransactionError:
            aborted = True
            await outer.rollback()
        except asyncpg.InterfaceError:  # the code has ended the caller's transaction
            pass
        stored = await look.fetchval("select count(*) from payments") - before
        exam.criterion(
            "four rows, the third one bad: 3 is returned, the caller's transaction goes on, and "
            "three are stored",
            outcome.returned and outcome.value == 3 and stored == 3,
            f"{outcome}; {stored} stored",
        )
        if aborted or isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
            exam.trap("aborted")
        elif outcome.returned and stored == 0:
            exam.trap("all")
        conn.terminate()
