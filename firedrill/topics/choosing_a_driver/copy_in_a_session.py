"""Stretch: COPY in the transaction of SQLAlchemy's connection."""

from __future__ import annotations

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "COPY in SQLAlchemy's transaction"

HINTS = (
    "COPY has no method in SQLAlchemy. The connection of asyncpg is below it: "
    "(await conn.get_raw_connection()).driver_connection.",
    "When does SQLAlchemy send BEGIN over asyncpg: at engine.begin(), or with the first statement?",
    "async with engine.begin(): the INSERT first, then copy_records_to_table of the driver's "
    "connection.",
)

TRAPS = {
    "too early": "The rows were copied before SQLAlchemy had begun its transaction: COPY committed "
    "by itself, and was not undone.",
    "another": "The rows were copied over another connection: they are not part of the "
    "transaction.",
}

TABLES = """create table batches (name text primary key);
            create table tickets (id int primary key, label text not null);
            grant select, insert on batches, tickets to encore"""
ROWS = [(number, f"A{number}") for number in range(1, 2001)]
SESSIONS = "select count(*) from pg_stat_activity where usename = 'encore'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(TABLES)
        dsn = stack.postgres.dsn().replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(dsn, pool_size=1, max_overflow=0, pool_timeout=2)
        try:
            await _load(exam, engine, look)
        finally:
            await engine.dispose()


async def _load(exam: Examination, engine: AsyncEngine, look: asyncpg.Connection) -> None:
    async def stored() -> tuple[int, int]:
        return (
            await look.fetchval("select count(*) from batches"),
            await look.fetchval("select count(*) from tickets"),
        )

    good = await exam.run(engine, "monday", ROWS, limit=10)
    first = await stored()
    sessions = await look.fetchval(SESSIONS)
    exam.criterion(
        "a batch of 2,000 tickets: both are stored",
        good.returned and first == (1, len(ROWS)),
        f"{first[0]} batch, {first[1]} tickets" if good.returned else str(good),
    )
    again = await exam.run(engine, "monday", [(3001, "B1")], limit=10)
    told = isinstance(again.error, Exception) and "batches_pkey" in str(again.error)
    second = await stored()
    exam.criterion(
        "a batch that is there already: the error arrives, and no ticket is stored",
        told and second == first,
        f"{second[1] - first[1]} tickets, {'the error' if told else again}",
    )
    twice = await exam.run(engine, "tuesday", [(3002, "B2"), (1, "A1")], limit=10)
    told_too = isinstance(twice.error, Exception) and "tickets_pkey" in str(twice.error)
    third = await stored()
    exam.criterion(
        "a ticket that is there already: the error arrives, and no batch is stored",
        told_too and third == second,
        f"{third[0] - second[0]} batches, {'the error' if told_too else twice}",
    )
    out = engine.pool.checkedout()  # type: ignore[attr-defined]
    exam.criterion(
        "and the engine has its connection back",
        out == 0,
        "it has" if out == 0 else "it has not",
    )
    if second[1] > first[1]:
        exam.trap("another" if sessions > 1 else "too early")
    elif third[0] > second[0] and sessions > 1:
        exam.trap("another")
