"""The errors of lesson 12: tables that change under prepared statements, and indexes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by


@contextlib.asynccontextmanager
async def _clients(stack: servers.Stack, count: int) -> AsyncIterator[list[Any]]:
    clients = [await asyncpg.connect(stack.postgres.dsn()) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


async def _after_a_new_column(stack: servers.Stack, query: str) -> BaseException:
    """What a query raises whose statement was prepared when its table had a column less."""
    async with _clients(stack, 2) as (migration, conn):
        await conn.fetch(query)
        await migration.execute("alter table events add column rating int")
        transaction = conn.transaction()
        await transaction.start()
        error = await raised_by(conn.fetch(query))
        await transaction.rollback()
        await migration.execute("alter table events drop column rating")
        return error


async def composite_type_changed(stack: servers.Stack) -> BaseException:
    return await _after_a_new_column(stack, "select event from events event")


async def cached_statement_invalid(stack: servers.Stack) -> BaseException:
    return await _after_a_new_column(stack, "select * from events")


async def concurrently_in_a_transaction(stack: servers.Stack) -> BaseException:
    async with _clients(stack, 1) as (conn,):
        return await raised_by(
            conn.execute("select 1; create index concurrently on orders (placed_at)")
        )


async def could_not_create_unique_index(stack: servers.Stack) -> BaseException:
    async with _clients(stack, 1) as (conn,):
        error = await raised_by(
            conn.execute("create unique index concurrently orders_once on orders (customer_id)")
        )
        await conn.execute("drop index orders_once")  # it is left, not valid
        return error


async def column_of_relation_does_not_exist(stack: servers.Stack) -> BaseException:
    async with _clients(stack, 1) as (conn,):
        return await raised_by(conn.execute("update customers set full_name = name"))
