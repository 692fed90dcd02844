"""The errors of lesson 15: a lifespan that did not run, answers that were sent too early, clients that have gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from firedrill import servers

from ..raising import raised_by


class Row(BaseModel):
    id: int


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    admin = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
    await admin.execute(
        "alter table payments alter constraint payments_order_id_fkey deferrable initially deferred"
    )
    await admin.close()
    app, guarded = _app(stack.postgres.dsn()), _app(stack.postgres.dsn())

    @guarded.exception_handler(asyncpg.ForeignKeyViolationError)
    async def handled(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({}, 404)

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        writer.close()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    loop = asyncio.get_running_loop()
    return {
        "state has no pool": await raised_by(_get(app, "/pool")),
        "no current event loop": await raised_by(
            loop.run_in_executor(ThreadPoolExecutor(1), asyncpg.create_pool, "")
        ),
        "response already started": await raised_by(_get(guarded, "/commit")),
        "foreign key": await raised_by(_get(app, "/commit")),
        "incomplete chunked read": await raised_by(_from(broken)),
        "httpx read timeout": await raised_by(_from(silent)),
        "dependency scope": await raised_by(_mixed()),
        "response validation": await raised_by(_get(app, "/row")),
    }


def _app(dsn: str) -> FastAPI:
    app = FastAPI()

    async def transaction() -> AsyncIterator[Any]:
        conn = await asyncpg.connect(dsn)
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


async def _mixed() -> None:
    async def connection() -> AsyncIterator[int]:
        yield 1

    async def transaction(conn: Any = Depends(connection, scope="function")) -> AsyncIterator[Any]:  # noqa: B008
        yield conn

    FastAPI().get("/")(lambda conn=Depends(transaction): conn)  # noqa: B008


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
