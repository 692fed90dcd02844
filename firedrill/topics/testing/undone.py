"""Warm-up: a test that is undone in each case."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "undone in each case"

HINTS = (
    'Lesson 16, "The fixture that fails twice": what does async with do at the end of a good test?',
    "Start the transaction by hand, and roll it back by hand, on every way out.",
    "await transaction.start(); try: await test(conn); finally: await transaction.rollback()",
)

TRAPS = {
    "stored": "A test that passed was committed: the next one finds its rows.",
    "hidden": "A test failed, and nobody was told: its error was swallowed.",
}

COUNT = "select count(*) from customers"
INSERT = """insert into customers (email, name, joined_at)
            values ('ada@example.com', 'Ada', now())"""


async def _passes(conn: Any) -> None:
    await conn.execute(INSERT)


async def _fails(conn: Any) -> None:
    await conn.execute(INSERT)
    assert await conn.fetchval("select 1") == 2


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        before = await look.fetchval(COUNT)
        good = await exam.run(conn, _passes)
        after = await look.fetchval(COUNT) - before
        bad = await exam.run(conn, _fails)
        after_bad = await look.fetchval(COUNT) - before
        told = isinstance(bad.error, AssertionError)
        is_open = conn.is_in_transaction()
        exam.criterion(
            "a test that passes, and one whose assertion fails: neither leaves a row or an open "
            "transaction, and the assertion arrives",
            good.returned and told and (after, after_bad) == (0, 0) and not is_open,
            f"{after} and {after_bad - after} rows left; "
            + ("the assertion arrives" if told else str(bad))
            + ("; a transaction is open" if is_open else ""),
        )
        if after:
            exam.trap("stored")
        elif bad.returned:
            exam.trap("hidden")
        conn.terminate()
