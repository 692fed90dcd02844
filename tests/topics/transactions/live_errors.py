"""The errors of lesson 08: transactions that do not fit, locks in a circle, and blocks that were
never begun."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from firedrill import servers, views
from firedrill.checking.waiting import until

from ..raising import raised_by

TOTAL = "select total_cents from orders where id = 1"
ADD = "update orders set total_cents = total_cents + 1 where id = $1"


@contextlib.asynccontextmanager
async def _two(stack: servers.Stack) -> AsyncIterator[tuple[Any, Any]]:
    dsn = stack.postgres.dsn()
    one, two = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        yield one, two
    finally:
        await one.close()
        await two.close()


async def concurrent_update(stack: servers.Stack) -> BaseException:
    async def both_update(one: Any, two: Any) -> None:
        async with one.transaction(isolation="repeatable_read"):
            await one.fetchval(TOTAL)
            await two.execute(ADD, 1)
            await one.execute(ADD, 1)

    async with _two(stack) as (one, two):
        return await raised_by(both_update(one, two))


async def read_write_dependencies(stack: servers.Stack) -> BaseException:
    async def write_skew(one: Any, two: Any) -> None:
        async with one.transaction(isolation="serializable"):
            await one.fetchval("select sum(total_cents) from orders")
            async with two.transaction(isolation="serializable"):
                await two.fetchval("select sum(total_cents) from orders")
                await one.execute(ADD, 1)
                await two.execute(ADD, 2)

    async with _two(stack) as (one, two):
        return await raised_by(write_skew(one, two))


async def deadlock(stack: servers.Stack) -> BaseException:
    async def second_lock(conn: Any, order: int) -> None:
        try:
            await conn.execute(ADD, order)
        finally:
            await conn.execute("rollback")

    async def waits() -> bool:
        return bool(await views.locks(stack.postgres))

    async with _two(stack) as (one, two):
        for conn, order in ((one, 1), (two, 2)):
            await conn.execute("begin")
            await conn.execute(ADD, order)
        first = asyncio.ensure_future(second_lock(one, 2))
        assert await until(waits, "the first waits for a lock")
        answers = await asyncio.gather(first, second_lock(two, 1), return_exceptions=True)
        return next(answer for answer in answers if answer)


async def lock_not_available(stack: servers.Stack) -> BaseException:
    async with _two(stack) as (one, two), one.transaction():
        await one.execute(ADD, 1)
        return await raised_by(two.execute("select from orders where id = 1 for update nowait"))


async def read_only_transaction(stack: servers.Stack) -> BaseException:
    async with _two(stack) as (one, _), one.transaction(readonly=True):
        return await raised_by(one.execute(ADD, 1))


async def transaction_not_started(stack: servers.Stack) -> BaseException:
    async with _two(stack) as (one, _):
        return await raised_by(one.transaction().rollback())


async def transaction_used_again(stack: servers.Stack) -> BaseException:
    async with _two(stack) as (one, _):
        block = one.transaction()
        await block.start()
        await block.commit()
        return await raised_by(block.start())


async def manually_started_transaction(stack: servers.Stack) -> BaseException:
    async with _two(stack) as (one, _):
        await one.execute("begin")
        return await raised_by(one.transaction().start())


async def underlying_connection_closed(stack: servers.Stack) -> BaseException:
    async def ends_inside(conn: Any) -> None:
        async with conn.transaction():
            conn.terminate()

    async with _two(stack) as (one, _):
        return await raised_by(ends_inside(one))


async def plain_with(stack: servers.Stack) -> BaseException:
    async def without_async(conn: Any) -> None:
        with conn.transaction():
            pass

    async with _two(stack) as (one, _):
        return await raised_by(without_async(one))


async def isolation(stack: servers.Stack) -> BaseException:
    async def upper_case(conn: Any) -> None:
        conn.transaction(isolation="SERIALIZABLE")

    async with _two(stack) as (one, _):
        return await raised_by(upper_case(one))
