"""The errors of lesson 13: cursors, and what ends them."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from ..raising import raised_by

SEATS = "select id from seats order by id"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    conn = await asyncpg.connect(stack.postgres.dsn())

    async def outside() -> None:
        async for _ in conn.cursor(SEATS):
            pass

    async def in_the_next_transaction() -> None:
        async with conn.transaction():
            seats = await conn.cursor(SEATS)
        async with conn.transaction():
            await seats.fetch(10)

    async def prefetch() -> None:
        async with conn.transaction():
            await conn.cursor(SEATS, prefetch=100)

    async def looped() -> None:
        async with conn.transaction():
            async for _ in await conn.cursor(SEATS):
                pass

    return {
        "cursor outside a transaction": await raised_by(outside()),
        "portal missing": await raised_by(in_the_next_transaction()),
        "prefetch of an awaited cursor": await raised_by(prefetch()),
        "loop over an awaited cursor": await raised_by(looped()),
    }
