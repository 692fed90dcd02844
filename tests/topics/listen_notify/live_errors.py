"""The errors of lesson 14: payloads, channels, callbacks, and a queue that a listener holds up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from firedrill import servers
from firedrill.checking.connections import admin

from ..raising import raised_by

NOTIFY = "select pg_notify($1, $2)"


@asynccontextmanager
async def connected(stack: servers.Stack) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        yield conn
    finally:
        await conn.close()


async def pool_has_no_add_listener(stack: servers.Stack) -> BaseException:
    async with asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1) as pool:

        async def listen() -> None:
            await pool.add_listener("sold", print)

        return await raised_by(listen())


async def payload_too_long(stack: servers.Stack) -> BaseException:
    async with connected(stack) as shop:
        return await raised_by(shop.execute(NOTIFY, "sold", "é" * 4000))


async def channel_name(stack: servers.Stack) -> BaseException:
    async with connected(stack) as shop:
        return await raised_by(shop.execute(NOTIFY, "c" * 64, ""))


async def expected_a_callable(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        return await raised_by(conn.add_listener("sold", None))


async def callback_arguments(stack: servers.Stack) -> BaseException:
    def two(channel: str, payload: str) -> None:
        pass

    async def call() -> None:
        two(None, 1, "sold", "A1")  # type: ignore[call-arg,arg-type]

    return await raised_by(call())


async def cannot_switch_to_state(stack: servers.Stack) -> BaseException:
    async def two(channel: str, payload: str) -> None:
        pass

    heard = asyncio.Event()
    conn = await asyncpg.connect(stack.postgres.dsn())
    async with connected(stack) as shop:
        await conn.add_listener("few", two)
        await conn.add_listener("sold", lambda *_: heard.set())
        await shop.execute("select pg_notify('few', ''), pg_notify('sold', '')")
        await asyncio.wait_for(heard.wait(), 10)
        error = await raised_by(conn.execute("select 1"))
    conn.terminate()
    return error


async def notify_queue(stack: servers.Stack) -> BaseException:
    await _set(stack, "alter system set max_notify_queue_pages = 64")
    async with connected(stack) as shop, connected(stack) as conn:
        await conn.add_listener("sold", lambda *_: None)
        await conn.execute("begin; select 1")

        async def fill() -> None:
            for number in range(1000):
                await shop.execute(NOTIFY, "sold", f"{number:07900}")

        error = await raised_by(fill())
    await _set(stack, "alter system reset max_notify_queue_pages")
    return error


async def listen_during_recovery(stack: servers.Stack) -> BaseException:
    stack.postgres.sh("touch standby.signal")
    stack.postgres.restart()
    async with connected(stack) as conn:
        error = await raised_by(conn.add_listener("sold", print))
    primary = await admin(stack)
    await primary.execute("select pg_promote()")
    await primary.close()
    return error


async def _set(stack: servers.Stack, statement: str) -> None:
    look = await admin(stack)
    await look.execute(statement)
    await look.close()
    stack.postgres.restart()
