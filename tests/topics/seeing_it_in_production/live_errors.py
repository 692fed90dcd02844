"""The errors of lesson 20: what those who look are told."""

from __future__ import annotations

import asyncpg

from firedrill import servers
from firedrill.servers.server import SUPERUSER

from ..raising import raised_by


async def pg_stat_statements_not_preloaded(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
    try:
        await conn.execute("create extension if not exists pg_stat_statements")
        return await raised_by(conn.fetch("select * from pg_stat_statements"))
    finally:
        await conn.execute("drop extension pg_stat_statements")
        await conn.close()
