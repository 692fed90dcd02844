"""The errors of lesson 02. Where asyncpg writes to the log instead of raising, the record is the
error."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import asyncpg

from firedrill import servers
from firedrill.checking.connections import admin

from ..raising import raised_by


class LogRecord(Exception):
    """Its name in the index is that of the class of all log records."""

    __module__ = "logging"


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    async def first(self) -> BaseException:
        async with asyncio.timeout(10):
            while not self.texts:
                await asyncio.sleep(0.01)
        return LogRecord(self.texts[0])


@contextlib.contextmanager
def _log(name: str) -> Iterator[_Kept]:
    logger, kept = logging.getLogger(name), _Kept()
    logger.addHandler(kept)
    try:
        yield kept
    finally:
        logger.removeHandler(kept)


async def one(stack: servers.Stack, **options: Any) -> Any:
    options = {"min_size": 1, "max_size": 1, **options}
    return await asyncpg.create_pool(stack.postgres.dsn(), **options)


async def min_size_above_max_size(stack: servers.Stack) -> BaseException:
    return await raised_by(one(stack, min_size=10, max_size=5))


async def init_size_out_of_range(stack: servers.Stack) -> BaseException:
    return await raised_by(one(stack, init_size=0))


async def invalid_value_of_a_setting(stack: servers.Stack) -> BaseException:
    return await raised_by(one(stack, server_settings={"timezone": "Tokyo"}))


async def pool_not_initialized(stack: servers.Stack) -> BaseException:
    pool = asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
    return await raised_by(pool.fetchval("select 1"))


async def pool_being_initialized(stack: servers.Stack) -> BaseException:
    pool = asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
    opening = asyncio.ensure_future(pool)
    await asyncio.sleep(0)
    error = await raised_by(pool.fetchval("select 1"))
    await opening
    await pool.close()
    return error


async def released_connection(stack: servers.Stack) -> BaseException:
    async with await one(stack) as pool:
        async with pool.acquire() as conn:
            pass

        async def use() -> None:
            await conn.fetchval("select 1")  # it raises at once, and not when it is awaited

        return await raised_by(use())


async def permission_denied(stack: servers.Stack) -> BaseException:
    look = await admin(stack)
    await look.execute("create role auditor; grant auditor to encore")
    async with await one(stack) as pool:
        await pool.execute("set role auditor")  # the reset leaves it
        error = await raised_by(pool.execute("delete from payments"))
    await look.execute("drop role auditor")
    await look.close()
    return error


async def transaction_at_release(stack: servers.Stack) -> BaseException:
    async with await one(stack) as pool:
        with _log("asyncio") as log:
            await pool.execute("begin")
            return await log.first()


async def listener_at_release(stack: servers.Stack) -> BaseException:
    async with await one(stack) as pool:
        conn = await pool.acquire()
        await conn.add_listener("sold", print)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            error = await raised_by(pool.release(conn))
        pool.terminate()
        return error


async def close_takes_long(stack: servers.Stack) -> BaseException:
    pool = await one(stack)
    await pool.acquire()
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def soon(delay: float, *call: Any, **options: Any) -> asyncio.TimerHandle:
        return later(delay / 600, *call, **options)

    with _log("asyncpg.pool") as log, patch.object(loop, "call_later", soon):
        closing = asyncio.ensure_future(pool.close())
        error = await log.first()
    pool.terminate()
    await closing
    return error


async def pool_closing(stack: servers.Stack) -> BaseException:
    pool = await one(stack)
    conn = await pool.acquire()
    closing = asyncio.ensure_future(pool.close())
    await asyncio.sleep(0)
    error = await raised_by(pool.fetchval("select 1"))
    await pool.release(conn)
    await closing
    return error


async def pool_floor(stack: servers.Stack) -> BaseException:
    look = await admin(stack)
    with _log("asyncpg.pool") as log:
        pool = await one(stack)
        await look.execute("alter role encore connection limit 0")
        await look.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'encore'"
        )
        error = await log.first()
        pool.terminate()
    await look.execute("alter role encore connection limit -1")
    await look.close()
    return error
