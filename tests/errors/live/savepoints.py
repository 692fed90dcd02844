"""Errors of the topic `savepoints`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from . import raised_by


async def rollback_to_without_transaction(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    error = await raised_by(conn.execute("rollback to savepoint s"))
    await conn.close()
    return error
