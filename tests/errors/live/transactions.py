"""Errors of the topic `transactions`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from firedrill import servers

from . import of_sql, raised_by


@contextlib.asynccontextmanager
async def sessions(stack: servers.Stack) -> AsyncIterator[AsyncSession]:
    dsn = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(dsn)
    async with AsyncSession(engine) as session:
        yield session
    await engine.dispose()


isolation_after_a_query = of_sql(
    "select 1",
    "set transaction isolation level serializable",
)

read_write_in_read_only = of_sql(
    "set transaction read only",
    "select 1",
    "set transaction read write",
)


async def transaction_already_begun(stack: servers.Stack) -> BaseException:
    async with sessions(stack) as session:
        await session.execute(text("select 1"))
        return await raised_by(session.begin().__aenter__())


async def closed_transaction_of_SQLAlchemy(stack: servers.Stack) -> BaseException:
    async with sessions(stack) as session:
        try:
            async with session.begin():
                await session.rollback()
                await session.execute(text("select 1"))
        except InvalidRequestError as error:
            return error
    raise AssertionError("nothing was raised")
