"""The errors of lesson 09: blocks within blocks, and what they leave behind."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from firedrill import servers
from firedrill.checking.connections import admin

from ..raising import raised_by

VOID = "insert into payments (order_id, amount_cents, method) values (999999, 1, 'card')"


@contextlib.asynccontextmanager
async def _block(stack: servers.Stack) -> AsyncIterator[Any]:
    """A connection in a transaction, which is rolled back."""
    conn = await asyncpg.connect(stack.postgres.dsn())
    outer = conn.transaction()
    await outer.start()
    try:
        yield conn
    finally:
        await outer.rollback()
        await conn.close()


async def nested_isolation_level(stack: servers.Stack) -> BaseException:
    async with _block(stack) as conn:
        return await raised_by(conn.transaction(isolation="serializable").start())


async def isolation_level_in_a_savepoint(stack: servers.Stack) -> BaseException:
    async with _block(stack) as conn:
        await conn.transaction().start()
        return await raised_by(conn.execute("set transaction isolation level serializable"))


async def savepoint_does_not_exist(stack: servers.Stack) -> BaseException:
    async with _block(stack) as conn:
        first, second = conn.transaction(), conn.transaction()
        await first.start()
        await second.start()
        await first.rollback()
        return await raised_by(second.commit())


async def out_of_shared_memory(stack: servers.Stack) -> BaseException:
    async def bad_rows() -> None:
        async with conn.transaction():
            for _ in range(20_000):
                with contextlib.suppress(asyncpg.ForeignKeyViolationError):
                    async with conn.transaction():
                        await conn.execute(VOID)

    await _set_and_restart(stack, "set max_locks_per_transaction = 10")
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        return await raised_by(bad_rows())
    finally:
        await conn.close()
        await _set_and_restart(stack, "reset max_locks_per_transaction")


async def _set_and_restart(stack: servers.Stack, setting: str) -> None:
    look = await admin(stack)
    await look.execute(f"alter system {setting}")
    await look.close()
    stack.postgres.restart()
