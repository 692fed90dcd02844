"""Error texts: people search for them, so a change of one word matters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .. import row
from ..lab import Lab, tried

Measure = Callable[[Lab], Awaitable[object]]


def _text(name: str, title: str, lesson: str, *statements: str) -> Measure:
    """A row for the error of the last statement of one connection."""

    async def measure(lab: Lab) -> object:
        conn = await lab.connect()
        for statement in statements[:-1]:
            await conn.execute(statement)
        return await tried(conn.execute(statements[-1]))

    measure.__name__ = name
    return row("PostgreSQL", title, lesson)(measure)


_text(
    "text_of_unique_violation",
    "error: a key that is there already",
    "08_transactions",
    "create table keyed (id int primary key); insert into keyed values (1)",
    "insert into keyed values (1)",
)
_text(
    "text_of_statement_timeout",
    "error: statement_timeout",
    "04_timeouts_and_cancellation",
    "set statement_timeout = '50ms'",
    "select pg_sleep(5)",
)
_text(
    "text_of_missing_table",
    "error: a table that does not exist",
    "12_migrations",
    "select * from nowhere",
)
_text(
    "text_of_missing_statement",
    "error: EXECUTE of a statement that was not prepared",
    "10_prepared_statements",
    "execute nothing",
)
_text(
    "text_of_set_local_outside",
    "error: RELEASE of a savepoint outside a transaction",
    "09_savepoints",
    "release savepoint s",
)


@row("PostgreSQL", "error: lock_timeout", "12_migrations")
async def text_of_lock_timeout(lab: Lab) -> object:
    holder, waiter = await lab.connect(), await lab.connect()
    await holder.execute("begin; lock table seats")
    await waiter.execute("set lock_timeout = '50ms'")
    return await tried(waiter.fetch("select * from seats"))


@row("PostgreSQL", "error: deadlock", "08_transactions")
async def text_of_deadlock(lab: Lab) -> object:
    a, b = await lab.connect(), await lab.connect()
    await a.execute("begin; select * from seats where id = 1 for update")
    await b.execute("begin; select * from seats where id = 2 for update")
    second = asyncio.create_task(tried(a.execute("select * from seats where id = 2 for update")))
    first = await tried(b.execute("select * from seats where id = 1 for update"))
    b.terminate()
    return next(one for one in (first, await second) if "deadlock" in one)


@row("PostgreSQL", "error: two serializable transactions", "08_transactions")
async def text_of_serialization(lab: Lab) -> object:
    a, b = await lab.connect(), await lab.connect()
    for one in (a, b):
        await one.execute("begin isolation level repeatable read; select * from seats where id = 3")
    await a.execute("update seats set price_cents = 1 where id = 3; commit")
    return await tried(b.execute("update seats set price_cents = 2 where id = 3"))


@row(
    "PostgreSQL",
    "error: idle_in_transaction_session_timeout, seen by the next query",
    "08_transactions",
)
async def text_of_idle_in_transaction(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("set idle_in_transaction_session_timeout = '50ms'; begin")
    while not conn.is_closed():
        await asyncio.sleep(0.02)
    return await tried(conn.fetchval("select 1"))


@row("PostgreSQL", "error: transaction_timeout during a query", "08_transactions")
async def text_of_transaction_timeout(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("set transaction_timeout = '100ms'")
    return await tried(conn.fetchval("select pg_sleep(5)"))


@row("PostgreSQL", "error: a backend that was terminated during a query", "01_connecting")
async def text_of_termination(lab: Lab) -> object:
    conn, admin = await lab.connect(), await lab.admin()
    running = asyncio.create_task(tried(conn.fetchval("select pg_sleep(10)")))
    await asyncio.sleep(0)
    while not await admin.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where query = 'select pg_sleep(10)' and state = 'active'"
    ):
        await asyncio.sleep(0.02)
    return await running


@row("PostgreSQL", "error: no slot is left", "03_exhaustion")
async def text_of_too_many(lab: Lab) -> object:
    admin = await lab.admin()
    await admin.execute("alter role encore connection limit 1")
    try:
        await lab.connect()
        return await tried(lab.connect())
    finally:
        await admin.execute("alter role encore connection limit -1")


@row("PostgreSQL", "error: a wrong password", "01_connecting")
async def text_of_wrong_password(lab: Lab) -> object:
    return await tried(lab.connect(password="wrong"))


@row(
    "PostgreSQL",
    "error: a column added to a table whose statement is cached, in a transaction",
    "12_migrations",
)
async def text_of_changed_table(lab: Lab) -> object:
    conn, other = await lab.connect(), await lab.connect()
    await other.execute("create table changed (a int)")
    await conn.fetch("select * from changed")
    await other.execute("alter table changed add column b int")
    async with conn.transaction():
        return await tried(conn.fetch("select * from changed"))


@row("PostgreSQL", "error: a statement after an error in a transaction", "09_savepoints")
async def text_of_aborted_transaction(lab: Lab) -> object:
    conn = await lab.connect()
    await conn.execute("begin")
    await tried(conn.execute("select 1/0"))
    return await tried(conn.execute("select 1"))
