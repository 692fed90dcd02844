"""What each of PgBouncer's pool modes leaves of a session: a probe for each feature, run in
every mode by one loop.

    found = await modes.matrix(stack)
    modes.draw(found)

A probe has two clients, `a` and `b`. `async with elsewhere():` lets a third hold the backend
that was used last, so that in transaction and statement mode `a` meets another one. A probe says
what came of it, or is refused with an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import asyncpg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from . import pictures, views
from .servers.server import POOL_MODES, SUPERUSER
from .servers.stack import Stack

Elsewhere = Callable[[], contextlib.AbstractAsyncContextManager[None]]
Probe = Callable[[Any, Any, Elsewhere, str], Awaitable[str]]


async def fetch(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    before = await a.fetchval("select count(*) from events where id > $1", 0)
    async with elsewhere():
        after = await a.fetchval("select count(*) from events where id > $1", 0)
    return "works" if before == after == 5 else "lost"


async def copy(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    await a.execute("create unlogged table if not exists venues (name text)")
    return (
        "works"
        if await a.copy_records_to_table("venues", records=[("Arena",)]) == "COPY 1"
        else "lost"
    )


async def transaction(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    block = a.transaction()
    await block.start()
    await a.execute("create table undone ()")
    await block.rollback()
    return "works" if await a.fetchval("select to_regclass('undone') is null") else "lost"


async def set_local(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    async with a.transaction():
        await a.execute("set local search_path = arena")
        async with elsewhere():
            kept = await a.fetchval("show search_path")
    return "works" if kept == "arena" else "lost"


async def transaction_lock(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    async with a.transaction():
        await a.fetchval("select pg_try_advisory_xact_lock(1)")
        second = await b.fetchval("select pg_try_advisory_xact_lock(1)")
    return "held twice" if second else "works"


async def cursor(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    async def read() -> int:
        async with a.transaction():
            return len([row async for row in a.cursor("select label from seats", prefetch=100)])

    before = await read()
    async with elsewhere():
        after = await read()
    return "works" if before == after == 500 else "lost"


async def time_zone(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    await a.execute("set timezone = 'Asia/Tokyo'")
    async with elsewhere():
        kept = await a.fetchval("show timezone")
    others = await b.fetchval("show timezone")
    return "works" if (kept, others) == ("Asia/Tokyo", "UTC") else "lost"


async def search_path(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    await a.execute("set search_path = arena")
    async with elsewhere():
        kept = await a.fetchval("show search_path")
    others = await b.fetchval("show search_path")
    return "works" if (kept, others) == ("arena", '"$user", public') else "lost, leaks"


async def session_lock(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    first = await a.fetchval("select pg_try_advisory_lock(1)")
    second = await b.fetchval("select pg_try_advisory_lock(1)")
    if not first:
        raise RuntimeError("An earlier probe has left its lock.")
    return "held twice" if second else "works"


def session_object(make: str, use: str) -> Probe:
    """Something that a session makes, and whose use gives 1."""

    async def used(conn: Any) -> bool:
        try:
            return bool(await conn.fetchval(use) == 1)
        except asyncpg.PostgresError:
            return False

    async def feature(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
        await a.execute(make)
        async with elsewhere():
            kept = await used(a)
        return "works" if kept else "lost, leaks" if await used(b) else "lost"

    return feature


async def listen(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    heard: list[str] = []
    await a.add_listener("sold", lambda conn, pid, channel, payload: heard.append(payload))
    await b.execute("notify sold")
    await a.execute("select 1")  # what PostgreSQL has sent comes before this answer
    await a.execute("select 1")
    return "works" if heard else "never comes"


async def startup_jit(a: Any, b: Any, elsewhere: Elsewhere, dsn: str) -> str:
    conn = await asyncpg.connect(dsn, server_settings={"jit": "off"})
    await conn.close()
    return "works"


FEATURES: dict[str, Probe] = {
    "fetch, prepared by asyncpg": fetch,
    "copy_records_to_table": copy,
    "transaction()": transaction,
    "SET LOCAL": set_local,
    "transaction-level lock": transaction_lock,
    "cursor()": cursor,
    "SET timezone": time_zone,
    "SET search_path": search_path,
    "session-level lock": session_lock,
    "temporary table": session_object("create temporary table basket as select 1", "table basket"),
    "cursor WITH HOLD": session_object(
        "declare plan cursor with hold for select 1 from seats", "fetch from plan"
    ),
    "PREPARE in SQL": session_object("prepare free as select 1", "execute free"),
    "LISTEN": listen,
    "server_settings jit": startup_jit,
}


async def matrix(
    stack: Stack, *features: str, columns: Sequence[str] = ("direct", *POOL_MODES)
) -> views.Table:
    """A row for each feature, or for those named; a column for PostgreSQL itself ("direct") and for
    each pool mode, or for those named."""
    names = features or tuple(FEATURES)
    # One after the other: all modes lead to one database, where they would meet each other's locks
    # and notifications.
    found = [await _column(stack, mode, names) for mode in columns]
    return views.Table(["feature", *columns], list(zip(names, *found, strict=True)))


def draw(table: views.Table) -> None:
    """Show `table` with a colour for each cell; its text form is the table's."""
    rows = [list(row.values()) for row in table.rows]
    figure = Figure(figsize=(7.8, 0.32 * (len(rows) + 1)))
    axes = figure.add_axes((0.005, 0.005, 0.99, 0.99), frameon=False, xticks=(), yticks=())
    colours = [
        ["#ffffff"]
        + [{"works": "#dff0d8", "refused": "#fdebd0"}.get(word, "#f6d5d5") for word in row[1:]]
        for row in rows
    ]
    drawn = axes.table(
        rows,
        cellColours=colours,
        colLabels=table.columns,
        cellLoc="left",
        colWidths=[0.31, 0.15, 0.16, 0.19, 0.19],
        bbox=Bbox.unit(),
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(10)
    pictures.show(figure, repr(table))


async def _column(stack: Stack, mode: str, features: tuple[str, ...]) -> list[str]:
    dsn = stack.postgres.dsn() if mode == "direct" else stack.pgbouncer.dsn(mode)
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
    third = await asyncpg.connect(dsn, statement_cache_size=0)
    found = []
    try:
        for name in features:
            if mode in ("transaction", "statement"):
                # New backends, with nothing left on them.
                await console.execute(f"reconnect {mode}")
            # And new clients: PgBouncer 1.26 may leave a server connection with the one that made a
            # COPY, and then what comes next would find a session.
            a, b = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
            try:
                found.append(await _probed(FEATURES[name], a, b, third, dsn))
                for conn in (a, b):
                    if not conn.is_closed():
                        await conn.reset()  # or a lock would be held until its backend is gone
            finally:
                await a.close()
                await b.close()
    finally:
        third.terminate()
        console.terminate()
    return found


async def _probed(probe: Probe, a: Any, b: Any, third: Any, dsn: str) -> str:
    @contextlib.asynccontextmanager
    async def elsewhere() -> AsyncIterator[None]:
        # A statement that is prepared and not executed holds its backend, in statement mode too.
        # Not from a cache, though.
        statement = await third.prepare("select 1")
        try:
            yield
        finally:
            await statement.fetchval()

    try:
        return await probe(a, b, elsewhere, dsn)
    except asyncpg.InvalidSQLStatementNameError:
        return "does not exist"
    except (asyncpg.ConnectionDoesNotExistError, asyncpg.ProtocolViolationError):
        return "refused"
