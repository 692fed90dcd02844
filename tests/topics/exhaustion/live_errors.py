"""The errors of lesson 03: every slot is taken, in all the ways in which PostgreSQL says so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from firedrill import servers
from firedrill.checking.connections import admin

from ..raising import connect, raised_by

# A refused connection has a slot for a moment longer, so each text is asked for with slots to
# spare: of 12 slots, 3 are the superusers', 4 are reserved for a role.
ORDINARY, RESERVED = 5, 4


@contextlib.asynccontextmanager
async def _after(stack: servers.Stack, statement: str, undo: str) -> AsyncIterator[None]:
    look = await admin(stack)
    await look.execute(statement)
    try:
        yield
    finally:
        await look.execute(undo)
        await look.close()


@contextlib.asynccontextmanager
async def _few_slots(stack: servers.Stack) -> AsyncIterator[list[asyncpg.Connection]]:
    """Those that ordinary roles may have are taken, by the connections in this list."""
    await _alter_system(stack, "set max_connections = 12", "set reserved_connections = 4")
    held: list[asyncpg.Connection] = []
    try:
        for _ in range(ORDINARY):
            held.append(await asyncpg.connect(stack.postgres.dsn()))
        yield held
    finally:
        for conn in held:
            conn.terminate()
        stack.postgres.restart()  # now every slot is free
        await _alter_system(stack, "reset max_connections", "reset reserved_connections")


async def _alter_system(stack: servers.Stack, *changes: str) -> None:
    look = await admin(stack)
    for change in changes:
        await look.execute(f"alter system {change}")
    await look.close()
    stack.postgres.restart()


async def _take_reserved(stack: servers.Stack, held: list[asyncpg.Connection]) -> None:
    for _ in range(RESERVED):
        held.append(await admin(stack))


async def acquire_timed_out(stack: servers.Stack) -> BaseException:
    dsn = stack.postgres.dsn()
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool, pool.acquire():
        return await raised_by(pool.acquire(timeout=0.05))


async def too_many_connections_for_role(stack: servers.Stack) -> BaseException:
    limit = "alter role encore connection limit"
    async with _after(stack, f"{limit} 0", f"{limit} -1"):
        return await raised_by(connect(stack.postgres.dsn()))


async def too_many_connections_for_database(stack: servers.Stack) -> BaseException:
    limit = "alter database encore connection limit"
    async with _after(stack, f"{limit} 0", f"{limit} -1"):
        return await raised_by(connect(stack.postgres.dsn()))


async def slots_reserved_for_a_role(stack: servers.Stack) -> BaseException:
    async with _few_slots(stack):
        return await raised_by(connect(stack.postgres.dsn()))


async def slots_reserved_for_superusers(stack: servers.Stack) -> BaseException:
    async with _few_slots(stack) as held:
        await _take_reserved(stack, held)
        return await raised_by(connect(stack.postgres.dsn()))


async def too_many_clients(stack: servers.Stack) -> BaseException:
    async with _few_slots(stack) as held:

        async def everything() -> None:
            while True:
                held.append(await admin(stack))

        return await raised_by(everything())
