"""Orders by the thousand, money that moves between them, and a pool whose connections come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ... import servers
from ...checking.connections import admin
from ...checking.waiting import until

# What customers do while the export reads: the sum stays, and so does all but these two orders.
MOVE = """
    update orders set total_cents = total_cents
        + case when id = (select min(id) from orders) then -1 else 1 end
    where id in (select min(id) from orders union all select max(id) from orders)"""


def many(count: int) -> str:
    """The statement that adds so many orders, with baskets of 450 bytes and more."""
    return f"""
        insert into orders (customer_id, total_cents, basket)
        select 1 + n % 200, 5000, jsonb_build_object('event', 5, 'seats', (
            select jsonb_agg(md5(n::text || i)) from generate_series(1, 12) i))
        from generate_series(1, {count}) n"""


@contextlib.asynccontextmanager
async def money_moves(stack: servers.Stack) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """From the first order to the last one, again and again, until what it gives is called."""
    conn = await admin(stack, "encore")
    over = False

    async def move() -> None:
        while not over:
            await conn.execute(MOVE)
            await asyncio.sleep(0.005)

    async def end() -> None:
        nonlocal over
        over = True
        await asyncio.wait({task}, timeout=5)

    task = asyncio.create_task(move())
    try:
        yield end
    finally:
        await end()
        task.cancel()
        conn.terminate()


async def are_back(pool: Any, seconds: float) -> bool:
    """Whether all connections are idle in the pool, at the latest after so long."""
    return bool(
        await until(
            lambda: pool.get_idle_size() >= pool.get_size(),
            "the connections are back in the pool",
            seconds,
        )
    )
