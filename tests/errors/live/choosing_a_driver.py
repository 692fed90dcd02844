"""Errors of the topic `choosing_a_driver`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text
from sqlalchemy.exc import MultipleResultsFound, NoResultFound, ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from firedrill import servers

from . import raised_by


@contextlib.asynccontextmanager
async def connected(stack: servers.Stack) -> AsyncIterator[AsyncConnection]:
    dsn = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(dsn)
    async with engine.connect() as conn:
        yield conn
    await engine.dispose()


async def no_rows_in_the_result(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        result = await conn.execute(text("create temp table t (a int)"))
        try:
            result.all()
        except ResourceClosedError as error:
            return error
    raise AssertionError("nothing was raised")


async def SQLAlchemy_connection_closed(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        await conn.close()
        return await raised_by(conn.execute(text("select 1")))


async def no_row(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        result = await conn.execute(text("select 1 where false"))
        try:
            result.one()
        except NoResultFound as error:
            return error
    raise AssertionError("nothing was raised")


async def several_rows(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        result = await conn.execute(text("select generate_series(1, 2)"))
        try:
            result.one()
        except MultipleResultsFound as error:
            return error
    raise AssertionError("nothing was raised")


async def text_needed(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        return await raised_by(conn.execute("select 1"))  # type: ignore[call-overload]


async def bind_parameter_missing(stack: servers.Stack) -> BaseException:
    async with connected(stack) as conn:
        return await raised_by(conn.execute(text("select :seat")))


async def psycopg_too_many_parameters(stack: servers.Stack) -> BaseException:
    async with await psycopg.AsyncConnection.connect(stack.postgres.dsn()) as conn:
        query = "select " + ",".join(["%s"] * 65536)
        return await raised_by(conn.execute(query.encode(), [1] * 65536))


async def psycopg_pool_is_closed(stack: servers.Stack) -> BaseException:
    async with AsyncConnectionPool(stack.postgres.dsn(), min_size=1, open=False) as pool:
        pass
    return await raised_by(pool.getconn())
