"""The errors of lesson 15: a lifespan that did not run, answers sent too early, clients gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from firedrill import servers
from firedrill.checking.connections import admin

from ..raising import raised_by


async def state_has_no_pool(stack: servers.Stack) -> BaseException:
    return await raised_by(_get(_app(stack), "/pool"))


async def no_current_event_loop(stack: servers.Stack) -> BaseException:
    with ThreadPoolExecutor(1) as threads:
        loop = asyncio.get_running_loop()
        return await raised_by(loop.run_in_executor(threads, asyncpg.create_pool, ""))


async def response_already_started(stack: servers.Stack) -> BaseException:
    app = _app(stack)

    @app.exception_handler(asyncpg.ForeignKeyViolationError)
    async def handled(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 404)

    async with _checked_at_commit(stack):
        return await raised_by(_get(app, "/commit"))


async def foreign_key(stack: servers.Stack) -> BaseException:
    async with _checked_at_commit(stack):
        return await raised_by(_get(_app(stack), "/commit"))


async def incomplete_chunked_read(stack: servers.Stack) -> BaseException:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        writer.close()

    return await raised_by(_from(broken))


async def httpx_read_timeout(stack: servers.Stack) -> BaseException:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    return await raised_by(_from(silent))


async def dependency_scope(stack: servers.Stack) -> BaseException:
    async def connection() -> AsyncIterator[int]:
        yield 1

    async def transaction(conn: Any = Depends(connection, scope="function")) -> AsyncIterator[Any]:  # noqa: B008
        yield conn

    async def mixed() -> None:
        FastAPI().get("/")(lambda conn=Depends(transaction): conn)  # noqa: B008

    return await raised_by(mixed())


async def response_validation(stack: servers.Stack) -> BaseException:
    return await raised_by(_get(_app(stack), "/row"))


class Row(BaseModel):
    id: int


def _app(stack: servers.Stack) -> FastAPI:
    app = FastAPI()

    async def transaction() -> AsyncIterator[Any]:
        conn = await asyncpg.connect(stack.postgres.dsn())
        try:
            async with conn.transaction():
                yield conn
        finally:
            await conn.close()

    @app.get("/pool")
    async def pool(request: Request) -> None:
        await request.app.state.pool.acquire()

    @app.get("/commit")
    async def commit(conn: Any = Depends(transaction)) -> None:  # noqa: B008  as FastAPI is used
        await conn.execute(
            "insert into payments (order_id, amount_cents, method) values (999999, 1, 'card')"
        )

    @app.get("/row", response_model=Row)
    async def row(conn: Any = Depends(transaction)) -> Any:  # noqa: B008
        return await conn.fetchrow("select 1 as id")

    return app


@asynccontextmanager
async def _checked_at_commit(stack: servers.Stack) -> AsyncIterator[None]:
    """A payment without an order is refused by COMMIT, not by its INSERT."""
    look = await admin(stack)
    change = "alter table payments alter constraint payments_order_id_fkey"
    await look.execute(f"{change} deferrable initially deferred")
    try:
        yield
    finally:
        await look.execute(f"{change} not deferrable")
        await look.close()


async def _get(app: FastAPI, path: str) -> None:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shop"
    ) as client:
        await client.get(path)


async def _from(serve: Callable[..., Awaitable[None]]) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(timeout=0.2) as client:
            await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()
