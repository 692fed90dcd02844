"""The errors of lesson 11: one server connection, or another client on it before this one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from firedrill import servers, views
from firedrill.servers.server import SUPERUSER

from ..raising import connect, raised_by


@contextlib.asynccontextmanager
async def _settings(stack: servers.Stack, **settings: int) -> AsyncIterator[None]:
    """PgBouncer with these settings; afterwards as it was, with backends that nobody has used."""
    before = {row["key"]: row["value"] for row in await views.show(stack.pgbouncer, "config")}
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
    try:
        for name, value in settings.items():
            await console.execute(f"set {name} = {value}")
        await console.execute("reconnect")
        yield
    finally:
        for name in settings:
            await console.execute(f"set {name} = {before[name]}")
        await console.execute("reconnect")
        await console.close()


@contextlib.asynccontextmanager
async def _clients(stack: servers.Stack, count: int) -> AsyncIterator[list[Any]]:
    dsn = stack.pgbouncer.dsn("transaction")
    clients = [await asyncpg.connect(dsn) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.terminate()


async def temporary_table_of_another_client(stack: servers.Stack) -> BaseException:
    async with _settings(stack), _clients(stack, 2) as (maker, other):
        await maker.execute("create temp table basket (seat text)")
        return await raised_by(other.execute("create temp table basket (seat text)"))


async def temporary_table_missing(stack: servers.Stack) -> BaseException:
    async with _settings(stack), _clients(stack, 2) as (maker, holder):
        await maker.execute("create temp table basket (seat text)")
        await holder.execute("begin")
        return await raised_by(maker.fetch("table basket"))


async def cursor_missing(stack: servers.Stack) -> BaseException:
    async with _settings(stack), _clients(stack, 2) as (maker, holder):
        await maker.execute("declare plan cursor with hold for select 1")
        await holder.execute("begin")
        return await raised_by(maker.fetch("fetch 1 from plan"))


async def setting_in_options_through_PgBouncer(stack: servers.Stack) -> BaseException:
    dsn = stack.pgbouncer.dsn("transaction")
    return await raised_by(connect(f"{dsn}?options=-c jit=off"))


async def statement_mode(stack: servers.Stack) -> BaseException:
    sale = await asyncpg.connect(stack.pgbouncer.dsn("statement"))
    error = await raised_by(sale.execute("begin"))
    sale.terminate()
    return error


async def query_wait_timeout(stack: servers.Stack) -> BaseException:
    async with (
        _settings(stack, query_wait_timeout=1, default_pool_size=1),
        _clients(stack, 2) as (holder, other),
    ):
        await holder.execute("begin")
        return await raised_by(other.fetchval("select 1"))


async def query_wait_timeout_at_log_in(stack: servers.Stack) -> BaseException:
    async with _settings(stack, query_wait_timeout=1, default_pool_size=1):
        with stack.postgres.paused():
            return await raised_by(connect(stack.pgbouncer.dsn("session")))


async def max_client_conn(stack: servers.Stack) -> BaseException:
    async with _clients(stack, 1), _settings(stack, max_client_conn=1):
        return await raised_by(connect(stack.pgbouncer.dsn("transaction")))
