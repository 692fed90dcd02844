"""The errors of lesson 13: cursors, and what ends them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by

SEATS = "select id from seats order by id"


async def _raised(stack: servers.Stack, use: Callable[[Any], Awaitable[None]]) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    error = await raised_by(use(conn))
    await conn.close()
    return error


async def cursor_outside_a_transaction(stack: servers.Stack) -> BaseException:
    async def use(conn: Any) -> None:
        async for _ in conn.cursor(SEATS):
            pass

    return await _raised(stack, use)


async def portal_missing(stack: servers.Stack) -> BaseException:
    async def use(conn: Any) -> None:
        async with conn.transaction():
            seats = await conn.cursor(SEATS)
        async with conn.transaction():
            await seats.fetch(10)

    return await _raised(stack, use)


async def prefetch_of_an_awaited_cursor(stack: servers.Stack) -> BaseException:
    async def use(conn: Any) -> None:
        async with conn.transaction():
            await conn.cursor(SEATS, prefetch=100)

    return await _raised(stack, use)


async def loop_over_an_awaited_cursor(stack: servers.Stack) -> BaseException:
    async def use(conn: Any) -> None:
        async with conn.transaction():
            async for _ in await conn.cursor(SEATS):
                pass

    return await _raised(stack, use)
