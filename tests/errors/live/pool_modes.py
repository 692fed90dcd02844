"""Errors of the topic `pool_modes`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg
from psycopg import AsyncClientCursor, AsyncConnection

from firedrill import servers
from firedrill.servers.server import SUPERUSER

from . import raised_by


async def console(stack: servers.Stack, command: str) -> None:
    """On PgBouncer's console, which speaks the simple protocol only."""
    dsn = stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER)
    async with await AsyncConnection.connect(
        dsn, autocommit=True, cursor_factory=AsyncClientCursor
    ) as conn:
        await conn.execute(command)


async def database_is_disabled(stack: servers.Stack) -> BaseException:
    await console(stack, "disable transaction")
    try:
        return await raised_by(asyncpg.connect(stack.pgbouncer.dsn("transaction")))
    finally:
        await console(stack, "enable transaction")
