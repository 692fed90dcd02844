"""Errors of the topic `pools`, raised live: for the newer entries of the index."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from . import raised_by


async def connection_of_another_pool(stack: servers.Stack) -> BaseException:
    dsn = stack.postgres.dsn()
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=1) as first,
        asyncpg.create_pool(dsn, min_size=1, max_size=1) as second,
        first.acquire() as conn,
    ):
        return await raised_by(second.release(conn))
