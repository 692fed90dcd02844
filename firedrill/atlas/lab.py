"""What a row works with: a pair of servers, connections that are closed for it, short answers."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ..servers import Stack

ENOUGH = 140  # characters of an error's text: the rest repeats values


class Lab:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._open: list[Any] = []

    async def connect(self, database: str = "", **options: Any) -> Any:
        """To PostgreSQL, or to PgBouncer's database of this pool mode.

        Ended when the row is over.
        """
        server = self.stack.pgbouncer if database else self.stack.postgres
        user = options.pop("user", "encore")
        connection = await asyncpg.connect(
            server.dsn(database or None, user=user), timeout=5, **options
        )
        self._open.append(connection)
        return connection

    async def admin(self) -> Any:
        return await self.connect(user="postgres")

    async def pool(self, database: str = "", **options: Any) -> Any:
        server = self.stack.pgbouncer if database else self.stack.postgres
        options = {"timeout": 5} | options
        pool = await asyncpg.create_pool(server.dsn(database or None), **options)
        self._open.append(pool)
        return pool

    def console(self, *commands: str) -> list[dict[str, Any]]:
        """The rows that the last command gives on PgBouncer's console."""
        import psycopg
        from psycopg.rows import dict_row

        dsn = self.stack.pgbouncer.dsn("pgbouncer", user="postgres")
        found: list[dict[str, Any]] = []
        with psycopg.connect(
            dsn, autocommit=True, row_factory=dict_row, cursor_factory=psycopg.ClientCursor
        ) as console:
            for command in commands:
                done = console.execute(command)
                found = list(done.fetchall()) if done.description else []
        return found

    async def hold(self, database: str = "transaction") -> Any:
        """A client in a transaction: it keeps the server connection that was used last."""
        holder = await self.connect(database)
        await holder.execute("begin")
        await holder.fetchval("select 1")
        return holder

    async def linked(self, within: float = 0.3) -> bool:
        """Is a server connection of the pool still held by a client after this time?"""
        await until(lambda: not self._active(), within)
        return bool(self._active())

    def _active(self) -> int:
        return sum(
            int(row["sv_active"])
            for row in self.console("show pools")
            if row["database"] == "transaction"
        )

    def close(self) -> None:
        for one in self._open:
            one.terminate()
        self._open.clear()


async def until(true: Callable[[], Any], seconds: float) -> bool:
    """Wait until it is true, at most this long. Was it?"""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def tried(asked: Awaitable[Any]) -> str:
    """What came back, or the error in its own words."""
    try:
        return f"{await asked}"
    except Exception as error:
        return said(error)


def said(error: BaseException) -> str:
    # The number depends on what the process did before.
    text = re.sub(
        r"__asyncpg_stmt_\w+?__", "__asyncpg_stmt_N__", (str(error).splitlines() or [""])[0]
    )
    if len(text) > ENOUGH:
        text = text[:ENOUGH].rstrip() + " …"
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}, no text"
