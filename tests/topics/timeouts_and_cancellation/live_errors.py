"""The errors of lesson 04: a lock that another holds, limits, cancellations, ended event loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg

from firedrill import servers, views
from firedrill.checking.connections import admin
from firedrill.checking.waiting import until

from ..raising import connect, raised_by

UPDATE = "update seats set status = 'held' where id = 1"
CANCEL = """
    select pg_cancel_backend(pid) from pg_stat_activity
    where cardinality(pg_blocking_pids(pid)) > 0"""


@contextlib.asynccontextmanager
async def open_to(stack: servers.Stack, **options: Any) -> AsyncIterator[Any]:
    """A connection, which is closed without asking the server: a limit may hold for close() too."""
    conn = await asyncpg.connect(stack.postgres.dsn(), **options)
    try:
        yield conn
    finally:
        conn.terminate()


@contextlib.asynccontextmanager
async def locked_seat(stack: servers.Stack) -> AsyncIterator[None]:
    """Another transaction has updated the seat."""
    holder = await asyncpg.connect(stack.postgres.dsn())
    await holder.execute(f"begin; {UPDATE}")
    try:
        yield
    finally:
        await holder.close()


@contextlib.asynccontextmanager
async def waiting_for_the_lock(stack: servers.Stack) -> AsyncIterator[tuple[Any, Any]]:
    """A connection, and its query that waits for the seat."""
    async with locked_seat(stack), open_to(stack) as conn:
        query = asyncio.create_task(conn.execute(UPDATE))

        async def waits() -> bool:
            return bool(await views.locks(stack.postgres))

        assert await until(waits, "the query waits for the lock")
        yield conn, query
        query.cancel()
        await asyncio.wait({query})


async def _limited(stack: servers.Stack, setting: str) -> BaseException:
    async with locked_seat(stack), open_to(stack, server_settings={setting: "50ms"}) as conn:
        return await raised_by(conn.execute(UPDATE))


async def lock_timeout(stack: servers.Stack) -> BaseException:
    return await _limited(stack, "lock_timeout")


async def statement_timeout(stack: servers.Stack) -> BaseException:
    return await _limited(stack, "statement_timeout")


async def transaction_timeout(stack: servers.Stack) -> BaseException:
    return await _limited(stack, "transaction_timeout")


async def command_timed_out(stack: servers.Stack) -> BaseException:
    async with open_to(stack, command_timeout=0.05) as conn:
        return await raised_by(conn.fetch("select pg_sleep(60)"))


async def connection_is_closed(stack: servers.Stack) -> BaseException:
    async with open_to(stack) as conn:
        conn.terminate()
        return await raised_by(conn.execute("select 1"))


async def another_operation(stack: servers.Stack) -> BaseException:
    async with waiting_for_the_lock(stack) as (conn, _):
        return await raised_by(conn.execute("select 1"))


async def cancelled_on_request(stack: servers.Stack) -> BaseException:
    look = await admin(stack)
    async with waiting_for_the_lock(stack) as (_, query):
        await look.execute(CANCEL)
        await look.close()
        return await raised_by(query)


async def aborted_transaction(stack: servers.Stack) -> BaseException:
    async with open_to(stack) as conn:
        await conn.execute("begin")
        await raised_by(conn.execute("select 1/0"))
        return await raised_by(conn.execute("select 1"))


async def savepoint_without_transaction(stack: servers.Stack) -> BaseException:
    async def nested(conn: Any) -> None:
        block = conn.transaction()
        await block.start()
        await conn.execute("rollback")
        async with conn.transaction():
            pass

    async with open_to(stack) as conn:
        return await raised_by(nested(conn))


async def different_loop(stack: servers.Stack) -> BaseException:
    return await asyncio.to_thread(
        _in_two_loops,
        lambda: connect(stack.postgres.dsn()),
        lambda conn: conn.execute("select 1"),
    )


async def loop_is_closed(stack: servers.Stack) -> BaseException:
    return await asyncio.to_thread(
        _in_two_loops,
        lambda: asyncpg.create_pool(stack.postgres.dsn(), min_size=0, max_size=1),
        lambda pool: pool.fetchval("select 1"),
    )


def _in_two_loops(
    make: Callable[[], Any], use: Callable[[Any], Coroutine[Any, Any, Any]]
) -> BaseException:
    async def made() -> Any:
        return await make()

    thing = asyncio.run(made())
    return asyncio.run(raised_by(use(thing)))
