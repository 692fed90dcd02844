"""Errors of the topic `cursors`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg
import psycopg

from firedrill import servers

from . import of_sql, raised_by

cursor_already_exists = of_sql(
    "declare c cursor for select 1",
    "declare c cursor for select 1",
)


async def psycopg_cursor_closed(stack: servers.Stack) -> BaseException:
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn()) as conn:
        cursor = conn.cursor()
        await cursor.close()
        return await raised_by(cursor.execute("select 1"))


async def declared_outside_a_transaction(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        return await raised_by(conn.execute("declare c cursor for select 1"))
    finally:
        await conn.close()
