"""Errors of the topic `pool_modes`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from psycopg import AsyncClientCursor, AsyncConnection

from firedrill import servers
from firedrill.servers.server import SUPERUSER

from . import raised_by


async def console(stack: servers.Stack, command: str) -> list[dict[str, Any]]:
    """On PgBouncer's console, which speaks the simple protocol only; the rows, if there are any."""
    dsn = stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER)
    async with await AsyncConnection.connect(
        dsn, autocommit=True, cursor_factory=AsyncClientCursor
    ) as conn:
        cursor = await conn.execute(command.encode())
        names = [column.name for column in cursor.description or ()]
        rows = await cursor.fetchall() if names else []
        return [dict(zip(names, row, strict=True)) for row in rows]


async def database_is_disabled(stack: servers.Stack) -> BaseException:
    await console(stack, "disable transaction")
    try:
        return await raised_by(asyncpg.connect(stack.pgbouncer.dsn("transaction")))
    finally:
        await console(stack, "enable transaction")


async def admin_forced_disconnect(stack: servers.Stack) -> BaseException:
    named = {"application_name": "to be killed"}
    conn = await asyncpg.connect(stack.pgbouncer.dsn("transaction"), server_settings=named)
    query = asyncio.ensure_future(conn.fetch("select pg_sleep(60)"))
    clients = await console(stack, "show clients")
    (number,) = (
        one["id"] for one in clients if one["application_name"] == named["application_name"]
    )
    await console(stack, f"kill_client {number}")
    return await raised_by(query)


async def console_takes_simple_queries_only(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
    try:
        return await raised_by(conn.fetch("show pools"))
    finally:
        conn.terminate()
