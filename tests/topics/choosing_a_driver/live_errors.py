"""The errors of lesson 17: psycopg's and SQLAlchemy's own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import ForeignKey, exc, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from firedrill import servers

from ..raising import raised_by

SEAT = "select label from seats where id = %s"


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)


class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    price_cents: Mapped[int]
    label: Mapped[str]
    event: Mapped[Event] = relationship()


async def psycopg_s_placeholders(stack: servers.Stack) -> BaseException:
    async with _psycopg(stack) as pg:
        return await raised_by(pg.execute(SEAT.replace("%s", "$1").encode(), (1,)))


async def a_percent_sign_in_psycopg(stack: servers.Stack) -> BaseException:
    async with _psycopg(stack) as pg:
        return await raised_by(pg.execute(f"{SEAT} and label like 'A%'".encode(), (1,)))


async def psycopg_cannot_adapt_a_dict(stack: servers.Stack) -> BaseException:
    async with _psycopg(stack) as pg:
        return await raised_by(pg.execute("select %s", ({"event": 5},)))


async def timestamp_too_large(stack: servers.Stack) -> BaseException:
    async with _psycopg(stack) as pg:
        cursor = await pg.execute("select 'infinity'::timestamptz")
        return await raised_by(cursor.fetchone())


async def psycopg_pool_s_PoolTimeout(stack: servers.Stack) -> BaseException:
    async with (
        AsyncConnectionPool(stack.postgres.dsn(), min_size=1, max_size=1, open=False) as pool,
        pool.connection(),
    ):
        return await raised_by(pool.getconn(timeout=0.1))


async def psycopg_s_statement_already_exists(stack: servers.Stack) -> BaseException:
    async with _two_behind_pgbouncer(stack) as (first, second, _):
        await first.execute(SEAT, (1,))
        return await raised_by(second.execute("select %s + 1", (1,)))


async def psycopg_s_statement_does_not_exist(stack: servers.Stack) -> BaseException:
    async with _two_behind_pgbouncer(stack) as (first, _, console):
        await first.execute(SEAT, (1,))
        await console.execute("reconnect")
        return await raised_by(first.execute(SEAT, (1,)))


async def SQLAlchemy_s_conflict_on_asyncpg(stack: servers.Stack) -> BaseException:
    other = await asyncpg.connect(stack.postgres.dsn())

    async def conflict(engine: AsyncEngine) -> None:
        async with engine.execution_options(isolation_level="REPEATABLE READ").begin() as sa:
            await sa.execute(text("select from events"))
            await other.execute("update seats set price_cents = price_cents + 1 where id = 1")
            await sa.execute(text("update seats set price_cents = 5000 where id = 1"))

    async with _engine(stack) as engine:
        error = await raised_by(conflict(engine))
    await other.execute("update seats set price_cents = price_cents - 1 where id = 1")
    await other.close()
    return error


async def QueuePool_limit(stack: servers.Stack) -> BaseException:
    async with _engine(stack) as engine, engine.connect():

        async def one_more() -> None:
            await engine.connect()

        return await raised_by(one_more())


async def PendingRollbackError(stack: servers.Stack) -> BaseException:
    async with _engine(stack) as engine, AsyncSession(engine) as session:
        session.add(Seat(event_id=999, price_cents=1, label="A1"))
        with contextlib.suppress(exc.IntegrityError):
            await session.flush()
        return await raised_by(session.execute(text("select 1")))


async def MissingGreenlet(stack: servers.Stack) -> BaseException:
    async with _engine(stack) as engine, AsyncSession(engine) as session:
        seat = await session.get_one(Seat, 1)

        async def attribute() -> None:
            seat.event.id  # noqa: B018

        return await raised_by(attribute())


@asynccontextmanager
async def _psycopg(stack: servers.Stack) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn(), autocommit=True) as pg:
        yield pg


@asynccontextmanager
async def _engine(stack: servers.Stack) -> AsyncIterator[AsyncEngine]:
    url = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def _two_behind_pgbouncer(stack: servers.Stack) -> AsyncIterator[tuple[Any, Any, Any]]:
    """Two of psycopg's connections that prepare at once, and PgBouncer's console."""
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    await console.execute("set max_prepared_statements = 0")
    dsn = stack.pgbouncer.dsn("transaction")
    pair = [
        await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0)
        for _ in range(2)
    ]
    try:
        yield pair[0], pair[1], console
    finally:
        for conn in pair:
            await conn.close()
        await console.execute("set max_prepared_statements = 200")
        await console.execute("reconnect")  # what the pair has prepared is gone
        await console.close()
