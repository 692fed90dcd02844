"""The errors of lesson 08: transactions that do not fit, locks in a circle, blocks that were never begun."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from firedrill import servers, views

from ..raising import raised_by

TOTAL = "select total_cents from orders where id = 1"
ADD = "update orders set total_cents = total_cents + 1 where id = $1"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.postgres.dsn()
    one, two = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    raised: dict[str, BaseException] = {
        "concurrent update": await raised_by(_both_update(one, two)),
        "read/write dependencies": await raised_by(_write_skew(one, two)),
        "deadlock": await _deadlock(stack, one, two),
    }
    async with one.transaction():
        await one.execute(ADD, 1)
        raised["lock not available"] = await raised_by(
            two.execute("select from orders where id = 1 for update nowait")
        )
    async with one.transaction(readonly=True):
        raised["read-only transaction"] = await raised_by(one.execute(ADD, 1))
    block = one.transaction()
    raised["transaction not started"] = await raised_by(block.rollback())
    await block.start()
    await block.commit()
    raised["transaction used again"] = await raised_by(block.start())
    await one.execute("begin")
    raised["manually started transaction"] = await raised_by(one.transaction().start())
    await one.execute("rollback")
    raised["plain with"] = await raised_by(_plain_with(one))
    raised["isolation"] = await raised_by(_upper_case(one))
    raised["underlying connection closed"] = await raised_by(_ends_inside(two))
    await one.close()
    return raised


async def _both_update(one: Any, two: Any) -> None:
    async with one.transaction(isolation="repeatable_read"):
        await one.fetchval(TOTAL)
        await two.execute(ADD, 1)
        await one.execute(ADD, 1)


async def _write_skew(one: Any, two: Any) -> None:
    async with one.transaction(isolation="serializable"):
        await one.fetchval("select sum(total_cents) from orders")
        async with two.transaction(isolation="serializable"):
            await two.fetchval("select sum(total_cents) from orders")
            await one.execute(ADD, 1)
            await two.execute(ADD, 2)


async def _deadlock(stack: servers.Stack, one: Any, two: Any) -> BaseException:
    async def second_lock(conn: Any, order: int) -> None:
        try:
            await conn.execute(ADD, order)
        finally:
            await conn.execute("rollback")

    for conn, order in ((one, 1), (two, 2)):
        await conn.execute("begin")
        await conn.execute(ADD, order)
    first = asyncio.ensure_future(second_lock(one, 2))
    while not await views.locks(stack.postgres):
        await asyncio.sleep(0.01)
    answers = await asyncio.gather(first, second_lock(two, 1), return_exceptions=True)
    return next(answer for answer in answers if answer)


async def _plain_with(conn: Any) -> None:
    with conn.transaction():
        pass


async def _upper_case(conn: Any) -> None:
    conn.transaction(isolation="SERIALIZABLE")


async def _ends_inside(conn: Any) -> None:
    async with conn.transaction():
        conn.terminate()
