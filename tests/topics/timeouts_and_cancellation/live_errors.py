"""The errors of lesson 04: a lock that another holds, limits, cancellations, event loops that have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg

from firedrill import servers, views

from ..raising import connect, raised_by

UPDATE = "update seats set status = 'held' where id = 1"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.postgres.dsn()
    admin = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
    holder, conn = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await holder.execute(f"begin; {UPDATE}")
    raised: dict[str, BaseException] = {}
    for setting, entry in (
        ("lock_timeout", "lock timeout"),
        ("statement_timeout", "statement timeout"),
        ("transaction_timeout", "transaction timeout"),
    ):
        limited = await asyncpg.connect(dsn, server_settings={setting: "50ms"})
        raised[entry] = await raised_by(limited.execute(UPDATE))
    limited = await asyncpg.connect(dsn, command_timeout=0.05)
    raised["command timed out"] = await raised_by(limited.fetch("select pg_sleep(60)"))
    limited.terminate()  # close() has the limit as well
    raised["connection is closed"] = await raised_by(limited.execute("select 1"))
    query = asyncio.ensure_future(conn.execute(UPDATE))
    while not await views.locks(stack.postgres):
        await asyncio.sleep(0.01)
    raised["another operation"] = await raised_by(conn.execute("select 1"))
    await admin.execute(
        "select pg_cancel_backend(pid) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
    )
    raised["cancelled on request"] = await raised_by(query)
    await conn.execute("begin")
    await raised_by(conn.execute("select 1/0"))
    raised["aborted transaction"] = await raised_by(conn.execute("select 1"))
    await conn.execute("rollback")
    raised["savepoint without transaction"] = await raised_by(_after_a_rollback(conn))
    raised["different loop"] = await asyncio.to_thread(
        _in_two_loops, lambda: connect(dsn), lambda conn: conn.execute("select 1")
    )
    raised["loop is closed"] = await asyncio.to_thread(
        _in_two_loops, lambda: _pool(dsn), lambda pool: pool.fetchval("select 1")
    )
    return raised


async def _after_a_rollback(conn: Any) -> None:
    block = conn.transaction()
    await block.start()
    await conn.execute("rollback")
    async with conn.transaction():
        pass


async def _pool(dsn: str) -> Any:
    return await asyncpg.create_pool(dsn, min_size=0, max_size=1)


def _in_two_loops(
    make: Callable[[], Any], use: Callable[[Any], Coroutine[Any, Any, Any]]
) -> BaseException:
    async def made() -> Any:
        return await make()

    thing = asyncio.run(made())
    return asyncio.run(raised_by(use(thing)))
