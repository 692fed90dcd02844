"""Errors of the topic `fastapi`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import asyncpg
import pydantic

from firedrill import servers

from . import raised_by


async def address_in_use(stack: servers.Stack) -> BaseException:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        return await raised_by(asyncio.start_server(print, "127.0.0.1", port))


async def record_is_no_model(stack: servers.Stack) -> BaseException:
    class Seat(pydantic.BaseModel):
        label: str

    conn = await asyncpg.connect(stack.postgres.dsn())
    row = await conn.fetchrow("select 'A1' as label")
    await conn.close()
    try:
        Seat.model_validate(row)
    except pydantic.ValidationError as error:
        return error
    raise AssertionError("nothing was raised")


async def pool_is_none(stack: servers.Stack) -> BaseException:
    pool: Any = None  # as a global is before the lifespan has run
    try:
        pool.acquire()
    except AttributeError as error:
        return error
    raise AssertionError("nothing was raised")
