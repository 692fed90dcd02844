"""The errors of lesson 02. Where asyncpg writes to the log in place of raising, the record stands for an error."""

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

from . import raised_by


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


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.postgres.dsn()
    admin = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
    raised: dict[str, BaseException] = {}

    async def one(**options: Any) -> Any:
        return await asyncpg.create_pool(dsn, **{"min_size": 1, "max_size": 1, **options})

    raised["min_size above max_size"] = await raised_by(one(min_size=10, max_size=5))
    raised["init_size out of range"] = await raised_by(one(init_size=0))
    raised["invalid value of a setting"] = await raised_by(one(server_settings={"timezone": "Tokyo"}))
    pool = asyncpg.create_pool(dsn, min_size=1, max_size=1)
    raised["pool not initialized"] = await raised_by(pool.fetchval("select 1"))
    opening = asyncio.ensure_future(pool)
    await asyncio.sleep(0)
    raised["pool being initialized"] = await raised_by(pool.fetchval("select 1"))
    await opening

    async with pool.acquire() as conn:
        pass

    async def use() -> None:
        await conn.fetchval("select 1")     # it raises at once, and not when it is awaited

    raised["released connection"] = await raised_by(use())
    await admin.execute("create role auditor; grant auditor to encore")
    await pool.execute("set role auditor")          # the reset leaves it
    raised["permission denied"] = await raised_by(pool.execute("delete from payments"))
    with _log("asyncio") as log:
        await pool.execute("begin")
        raised["transaction at release"] = await log.first()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conn = await pool.acquire()
        await conn.add_listener("sold", print)
        raised["listener at release"] = await raised_by(pool.release(conn))
    loop = asyncio.get_running_loop()
    later = loop.call_later
    with _log("asyncpg.pool") as log, patch.object(
            loop, "call_later", lambda delay, *call, **options: later(delay / 600, *call, **options)):
        closing = asyncio.ensure_future(pool.close())
        raised["close takes long"] = await log.first()
    raised["pool closing"] = await raised_by(pool.fetchval("select 1"))
    pool.terminate()
    await closing

    with _log("asyncpg.pool") as log:
        pool = await one()
        await admin.execute("alter role encore connection limit 0")
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'encore'")
        raised["pool floor"] = await log.first()
        pool.terminate()
    await admin.close()
    return raised
