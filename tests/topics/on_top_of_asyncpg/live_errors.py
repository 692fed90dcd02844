"""The errors of lesson 19: SQLAlchemy's, Tortoise's and Piccolo's own."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from firedrill import libraries, servers

from ..raising import raised_by


async def session_used_by_two_tasks(stack: servers.Stack) -> BaseException:
    url = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url)
    session = AsyncSession(engine)
    tasks: list[asyncio.Task[Any]] = []

    async def page() -> None:
        async with session:
            tasks.extend(asyncio.create_task(session.execute(text("select 1"))) for _ in range(2))
            await asyncio.gather(*tasks)

    error = await raised_by(page())
    await asyncio.wait(tasks)
    await session.close()
    await engine.dispose()
    return error


async def no_TortoiseContext(stack: servers.Stack) -> BaseException:
    libraries.provide("on_top_of_asyncpg")
    tortoise, models = import_module("tortoise"), import_module("tortoise.models")
    column = tortoise.fields.IntField(primary_key=True)
    voucher: Any = type("Voucher", (models.Model,), {"id": column})
    module = sys.modules["vouchers_of_lesson_19"] = ModuleType("vouchers_of_lesson_19")
    vars(module)["Voucher"] = voucher
    url = stack.postgres.dsn().replace("postgresql:", "asyncpg:")
    start = tortoise.Tortoise.init(db_url=url, modules={"models": [module.__name__]})
    context = await asyncio.create_task(start)

    async def request() -> None:
        await voucher.all().count()

    error = await raised_by(request())
    await context.close_connections()
    return error


async def Piccolo_s_nested_transaction(stack: servers.Stack) -> BaseException:
    libraries.provide("on_top_of_asyncpg")
    postgres = import_module("piccolo.engine.postgres")
    engine = postgres.PostgresEngine(config={"dsn": stack.postgres.dsn()})

    async def nested() -> None:
        async with engine.transaction(), engine.transaction(allow_nested=False):
            pass

    return await raised_by(nested())
