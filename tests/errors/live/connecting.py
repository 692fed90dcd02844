"""Errors of the topic `connecting`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg
import psycopg
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError, InvalidRequestError, NoSuchModuleError
from sqlalchemy.ext.asyncio import create_async_engine

from firedrill import servers
from firedrill.checking.connections import admin

from . import of_sql, raised_by


async def target_attribute(stack: servers.Stack) -> BaseException:
    return await raised_by(asyncpg.connect(stack.postgres.dsn(), target_session_attrs="standby"))


role_does_not_exist = of_sql(
    "create temp table t (a int)",
    "alter table t owner to no_such_role",
)


async def not_permitted_to_log_in(stack: servers.Stack) -> BaseException:
    look = await admin(stack)
    await look.execute("alter role encore nologin")
    try:
        return await raised_by(asyncpg.connect(stack.postgres.dsn()))
    finally:
        await look.execute("alter role encore login")
        await look.close()


async def sslmode_as_an_argument(stack: servers.Stack) -> BaseException:
    try:
        await asyncpg.connect(stack.postgres.dsn(), sslmode="require")
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")


async def channel_binding(stack: servers.Stack) -> BaseException:
    try:
        await asyncpg.connect(stack.postgres.dsn(), channel_binding="require")
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")


async def unknown_argument_of_connect(stack: servers.Stack) -> BaseException:
    try:
        await asyncpg.connect(stack.postgres.dsn(), dbname="encore")
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")


async def ports_and_hosts(stack: servers.Stack) -> BaseException:
    return await raised_by(asyncpg.connect(host=["a", "b"], port=[1, 2, 3], user="encore"))


async def libpq_connection_string(stack: servers.Stack) -> BaseException:
    dsn = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    return await raised_by(psycopg.AsyncConnection.connect(dsn))


async def SQLAlchemy_URL(stack: servers.Stack) -> BaseException:
    try:
        create_async_engine("")
    except ArgumentError as error:
        return error
    raise AssertionError("nothing was raised")


async def SQLAlchemy_plugin(stack: servers.Stack) -> BaseException:
    try:
        create_async_engine("postgres://encore@localhost/encore")
    except NoSuchModuleError as error:
        return error
    raise AssertionError("nothing was raised")


async def async_driver_required(stack: servers.Stack) -> BaseException:
    try:
        create_async_engine("sqlite://")
    except InvalidRequestError as error:
        return error
    raise AssertionError("nothing was raised")


async def driver_not_installed(stack: servers.Stack) -> BaseException:
    try:
        create_engine("postgresql+psycopg2://encore@localhost/encore")
    except ModuleNotFoundError as error:
        return error
    raise AssertionError("nothing was raised")


async def argument_of_create_engine(stack: servers.Stack) -> BaseException:
    try:
        create_engine("postgresql+psycopg://", async_creater=None)
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")
