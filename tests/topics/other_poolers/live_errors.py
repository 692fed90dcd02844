"""The errors of lesson 18: PgBouncer 1.26 in front of PostgreSQL 18."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from ..raising import raised_by


async def invalid_server_parameter(stack: servers.Stack) -> BaseException:
    """An empty search_path, and then another server connection."""
    with servers.open(postgres="18", pgbouncer="1.26") as new:
        dsn = new.pgbouncer.dsn("transaction")
        conn, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        await conn.fetchval("select set_config('search_path', '', false)")
        await other.execute("begin; select 1")  # it takes the server connection
        try:
            return await raised_by(conn.fetchval("select 1"))
        finally:
            other.terminate()
