"""The errors of lesson 10: two processes behind a PgBouncer that keeps no statements."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import asyncpg

from firedrill import servers, views, worker
from firedrill.servers.server import SUPERUSER

from ..raising import connect, raised_by


class Clients(NamedTuple):
    """Two processes with a connection `conn` each, and a client that can keep a backend."""

    first: worker.Worker
    second: worker.Worker
    other: Any


@contextlib.asynccontextmanager
async def _no_statements_kept(stack: servers.Stack) -> AsyncIterator[Clients]:
    """Separate processes for each error: asyncpg counts its statements' names per process."""
    settings = {row["key"]: row["value"] for row in await views.show(stack.pgbouncer, "config")}
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
    await console.execute("set max_prepared_statements = 0")
    dsn = stack.pgbouncer.dsn("transaction")
    first, second = [await worker.start(dsn=dsn) for _ in range(2)]
    try:
        for process in (first, second):
            await process("conn = await asyncpg.connect(dsn)")
        other = await asyncpg.connect(dsn)
        yield Clients(first, second, other)
        await other.close()
    finally:
        for process in (first, second):
            await process.stop()
        kept = settings["max_prepared_statements"]
        await console.execute(f"set max_prepared_statements = {kept}")
        await console.execute("reconnect")  # backends without these names
        await console.close()


async def statement_already_exists(stack: servers.Stack) -> BaseException:
    async with _no_statements_kept(stack) as (first, second, _):
        await first("await conn.fetchval('select $1::int', 1)")
        return await raised_by(second("await conn.fetchval('select 2')"))


async def statement_does_not_exist(stack: servers.Stack) -> BaseException:
    async with _no_statements_kept(stack) as (first, _, other):
        await first("await conn.fetchval('select $1::int', 1)")
        await other.execute("begin")
        error = await raised_by(first("await conn.fetchval('select $1::int', 1)"))
        await other.execute("rollback")
        return error


async def arguments_of_another_statement(stack: servers.Stack) -> BaseException:
    async with _no_statements_kept(stack) as (first, second, other):
        await other.execute("begin")
        await second("await conn.fetchval('select 1')")  # __asyncpg_stmt_1__ on the second backend
        await other.execute("rollback")  # the first backend is the one used last
        await first("await conn.fetchval('select $1::int', 1)")  # the same name on it
        return await raised_by(second("await conn.fetchval('select 1')"))


async def columns_of_another_statement(stack: servers.Stack) -> BaseException:
    async with _no_statements_kept(stack) as (first, second, other):
        await second("tuple(await conn.fetchrow('select 1, 2'))")
        await other.execute("begin")
        await first("await conn.fetchval('select 3')")  # the same name on the second backend
        await other.execute("rollback")
        return await raised_by(first("await conn.fetchval('select 3')"))


async def statement_did_not_exist(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.pgbouncer.dsn("transaction"))
    await conn.fetchval("select 1")
    await conn.execute("deallocate all")
    error = await raised_by(conn.fetchval("select 1"))
    await conn.close()
    return error


async def argument_of_SQLAlchemy_s(stack: servers.Stack) -> BaseException:
    async def with_sqlalchemys_argument() -> None:
        await asyncpg.connect(stack.pgbouncer.dsn("transaction"), prepared_statement_cache_size=0)

    return await raised_by(with_sqlalchemys_argument())


async def statement_cache_mode(stack: servers.Stack) -> BaseException:
    dsn = stack.pgbouncer.dsn("transaction")
    return await raised_by(connect(dsn, server_settings={"statement_cache_mode": "off"}))
