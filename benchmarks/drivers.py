"""Drivers, as in lesson 17: asyncpg, psycopg 3 with the text and the binary format, SQLAlchemy's
Core and ORM, each on one warm connection in autocommit to one embedded pair, in one process with
asyncio's own loop. A figure is the median call of a round; of the rounds the median is given
and, in brackets, the worst. In each round each way makes its calls once, in a new
random order; one uncounted round comes first, and the garbage of the way before is collected
beforehand. Each way is compared with asyncpg in the same table row: the ratio is that of the
medians, in brackets that of the round that was worst for asyncpg.

- *one row*: a seat by its id, 200 calls a round. *Pool* is asyncpg's `pool.fetchrow`, with its
  reset; *no cache* is `statement_cache_size=0`.
- *rows out*: all columns of a table with an id, a number, a short text and a timestamptz;
  *timestamps out* is the last column.
- *rows in*: the same into an empty table, by each driver's fastest: `COPY`, and `executemany` for
  SQLAlchemy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

import asyncpg
import psycopg
from sqlalchemy import DateTime, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from firedrill import servers
from firedrill.servers import Stack

from .row import Row

ROUNDS, CALLS, OUT, IN = 12, 200, 50_000, 10_000
NAMES = ("id", "gate", "seat", "at")
SCANS = [(n, n % 8, f"A{n % 100}", datetime(2027, 3, 20, 19, tzinfo=UTC)) for n in range(IN)]

Way = Callable[[], Awaitable[Any]]


class Base(DeclarativeBase):
    pass


class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    price_cents: Mapped[int]


class Scan(Base):
    __tablename__ = "scans"
    id: Mapped[int] = mapped_column(primary_key=True)
    gate: Mapped[int]
    seat: Mapped[str]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


def rows() -> list[Row]:
    with servers.open("embedded") as stack:
        return asyncio.run(_rows(stack))


async def _rows(stack: Stack) -> list[Row]:
    async with contextlib.AsyncExitStack() as opened:
        drivers = await _Drivers.open(stack, opened)
        await drivers.fill()
        made = _compared("one row", await _measure(drivers.one_row(), CALLS))
        made += _compared(f"{OUT:,} rows out", await _measure(drivers.rows_out(), 1))
        made += _compared(f"{OUT:,} timestamps out", await _measure(drivers.timestamps_out(), 1))
        return made + _compared(
            f"{IN:,} rows in", await _measure(drivers.rows_in(), 1, drivers.empty)
        )


class _Drivers:
    """The ways of each piece of work, by name; asyncpg first."""

    conn: Any
    uncached: Any
    pool: Any
    pg: Any
    core: dict[str, AsyncConnection]
    session: AsyncSession

    @classmethod
    async def open(cls, stack: Stack, opened: contextlib.AsyncExitStack) -> _Drivers:
        self, dsn = cls(), stack.postgres.dsn()
        self.conn, self.uncached = (
            await asyncpg.connect(dsn),
            await asyncpg.connect(dsn, statement_cache_size=0),
        )
        self.pool = await opened.enter_async_context(
            asyncpg.create_pool(dsn, min_size=1, max_size=1)
        )
        self.pg = await opened.enter_async_context(
            await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        )
        engines = {
            name: create_async_engine(
                dsn.replace("postgresql:", f"postgresql+{name}:"), isolation_level="AUTOCOMMIT"
            )
            for name in ("asyncpg", "psycopg")
        }
        for engine in engines.values():
            opened.push_async_callback(engine.dispose)
        self.core = {
            name: await opened.enter_async_context(engine.connect())
            for name, engine in engines.items()
        }
        self.session = await opened.enter_async_context(AsyncSession(self.core["asyncpg"]))
        for conn in (self.conn, self.uncached):
            opened.push_async_callback(conn.close)
        return self

    async def fill(self) -> None:
        await self.conn.execute(f"""
            create table scans (
                id int primary key, gate int not null, seat text not null, at timestamptz not null
            );
            insert into scans select n, n % 8, 'A' || n % 100,
                timestamptz '2027-03-20 19:00+00' + n * interval '1 second'
            from generate_series(1, {OUT}) n""")

    async def empty(self) -> None:
        await self.conn.execute("truncate scans")

    async def psycopg(self, query: str, *parameters: Any, binary: bool = False) -> Any:
        cursor = self.pg.cursor(binary=binary)
        await cursor.execute(query, parameters)
        return await cursor.fetchall()

    def one_row(self) -> dict[str, Way]:
        query = "select id, label, price_cents from seats where id = "
        statement = select(Seat.__table__).where(Seat.id == 17)
        return {
            "asyncpg": lambda: self.conn.fetchrow(query + "$1", 17),
            "asyncpg, pool": lambda: self.pool.fetchrow(query + "$1", 17),
            "asyncpg, no cache": lambda: self.uncached.fetchrow(query + "$1", 17),
            "psycopg, text": lambda: self.psycopg(query + "%s", 17),
            "psycopg, binary": lambda: self.psycopg(query + "%s", 17, binary=True),
            "Core on asyncpg": lambda: self._rows("asyncpg", statement),
            "Core on psycopg": lambda: self._rows("psycopg", statement),
            "ORM on asyncpg": lambda: self.session.get(Seat, 17, populate_existing=True),
        }

    def rows_out(self) -> dict[str, Way]:
        query, statement = "select id, gate, seat, at from scans", select(Scan.__table__)
        return {
            "asyncpg": lambda: self.conn.fetch(query),
            "psycopg, text": lambda: self.psycopg(query),
            "psycopg, binary": lambda: self.psycopg(query, binary=True),
            "Core on asyncpg": lambda: self._rows("asyncpg", statement),
            "Core on psycopg": lambda: self._rows("psycopg", statement),
            "ORM on asyncpg": self._objects,
        }

    async def _rows(self, name: str, statement: Any) -> Any:
        return (await self.core[name].execute(statement)).all()

    async def _objects(self) -> Any:
        self.session.expunge_all()
        return (await self.session.scalars(select(Scan))).all()

    def timestamps_out(self) -> dict[str, Way]:
        query = "select at from scans"
        return {
            "asyncpg": lambda: self.conn.fetch(query),
            "psycopg, text": lambda: self.psycopg(query),
            "psycopg, binary": lambda: self.psycopg(query, binary=True),
        }

    def rows_in(self) -> dict[str, Way]:
        dicts = [dict(zip(NAMES, scan, strict=True)) for scan in SCANS]
        return {
            "asyncpg": lambda: self.conn.copy_records_to_table(
                "scans", records=SCANS, columns=NAMES
            ),
            "psycopg, text": lambda: self._copy("text"),
            "psycopg, binary": lambda: self._copy("binary"),
            "Core on asyncpg": lambda: self.core["asyncpg"].execute(insert(Scan.__table__), dicts),  # type: ignore[arg-type]
            "Core on psycopg": lambda: self.core["psycopg"].execute(insert(Scan.__table__), dicts),  # type: ignore[arg-type]
            "ORM on asyncpg": lambda: self._add(dicts),
        }

    async def _copy(self, form: str) -> None:
        async with (
            self.pg.cursor() as cursor,
            cursor.copy(f"copy scans from stdin (format {form})") as copy,
        ):
            if form == "binary":
                copy.set_types(["int4", "int4", "text", "timestamptz"])
            for scan in SCANS:
                await copy.write_row(scan)

    async def _add(self, dicts: list[dict[str, Any]]) -> None:
        self.session.expunge_all()
        self.session.add_all(Scan(**scan) for scan in dicts)
        await self.session.commit()


async def _measure(
    ways: dict[str, Way], calls: int, before: Way | None = None
) -> dict[str, list[float]]:
    """For each round the median of its calls, in seconds."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name in random.sample(list(ways), len(ways)):
            if before:
                await before()
            gc.collect()
            taken = []
            for _ in range(calls):
                begun = time.perf_counter()
                await ways[name]()
                taken.append(time.perf_counter() - begun)
            if number:
                found[name].append(median(taken))
    return found


def _compared(what: str, found: dict[str, list[float]]) -> list[Row]:
    usual = found.pop("asyncpg")
    rows = []
    for way, own in found.items():
        worst = min(a / b for a, b in zip(own, usual, strict=True))
        ratio = f"{median(own) / median(usual):.2f}x ({worst:.2f}x)"
        rows.append(
            Row(f"{what}, {way}", _milliseconds(own), "asyncpg", _milliseconds(usual), ratio)
        )
    return rows


def _milliseconds(values: list[float]) -> str:
    return f"{median(values) * 1e3:.2f} ms ({max(values) * 1e3:.2f} ms)"
