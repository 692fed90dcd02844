"""The errors of lesson 17: psycopg's and SQLAlchemy's own."""

from __future__ import annotations

import contextlib
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


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    pg = await psycopg.AsyncConnection.connect(stack.postgres.dsn(), autocommit=True)
    url = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    raised: dict[str, BaseException] = {
        "psycopg's placeholders": await raised_by(
            pg.execute(SEAT.replace("%s", "$1").encode(), (1,))
        ),
        "a percent sign in psycopg": await raised_by(
            pg.execute(f"{SEAT} and label like 'A%'".encode(), (1,))
        ),
        "psycopg cannot adapt a dict": await raised_by(pg.execute("select %s", ({"event": 5},))),
        "timestamp too large": await raised_by(_infinity(pg)),
        "SQLAlchemy's conflict on asyncpg": await raised_by(
            _conflict(stack, create_async_engine(url))
        ),
        "psycopg_pool's PoolTimeout": await raised_by(_all_taken(stack.postgres.dsn())),
        "QueuePool limit": await raised_by(_exhausted(engine)),
        "PendingRollbackError": await raised_by(_goes_on(engine)),
        "MissingGreenlet": await raised_by(_attribute(engine)),
    }
    await pg.close()
    await engine.dispose()
    return raised | await _behind_pgbouncer(stack)


async def _all_taken(dsn: str) -> None:
    async with (
        AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False) as pool,
        pool.connection(),
    ):
        await pool.getconn(timeout=0.1)


async def _infinity(pg: Any) -> None:
    await (await pg.execute("select 'infinity'::timestamptz")).fetchone()


async def _conflict(stack: servers.Stack, engine: AsyncEngine) -> None:
    other = await asyncpg.connect(stack.postgres.dsn())
    try:
        async with engine.execution_options(isolation_level="REPEATABLE READ").begin() as sa:
            await sa.execute(text("select from events"))
            await other.execute("update seats set price_cents = price_cents + 1 where id = 1")
            await sa.execute(text("update seats set price_cents = 5000 where id = 1"))
    finally:
        await other.close()
        await engine.dispose()


async def _exhausted(engine: AsyncEngine) -> None:
    async with engine.connect():
        await engine.connect()


async def _goes_on(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        session.add(Seat(event_id=999, price_cents=1, label="A1"))
        with contextlib.suppress(exc.IntegrityError):
            await session.flush()
        await session.execute(text("select 1"))


async def _attribute(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        seat = await session.get_one(Seat, 1)
        seat.event.id  # noqa: B018


async def _behind_pgbouncer(stack: servers.Stack) -> dict[str, BaseException]:
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    await console.execute("set max_prepared_statements = 0")
    dsn = stack.pgbouncer.dsn("transaction")
    first, second = [
        await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0)
        for _ in range(2)
    ]
    await first.execute(SEAT, (1,))
    raised = {
        "psycopg's statement already exists": await raised_by(second.execute("select %s + 1", (1,)))
    }
    await console.execute("reconnect")
    raised["psycopg's statement does not exist"] = await raised_by(first.execute(SEAT, (1,)))
    for conn in (first, second):
        await conn.close()
    await console.close()
    return raised
