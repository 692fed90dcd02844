"""What several of these tests ask."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any, LiteralString

import asyncpg
import psycopg
import pytest

from firedrill import wire
from firedrill.servers import Stack
from firedrill.wire.table import flights


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for it without stopping the loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0)


def sent(tap: wire.Tap, client: str = "app") -> list[str]:
    """What a client sent, flight by flight."""
    return [flight.messages for flight in flights(tap.events) if flight.source == client]


def said(tap: wire.Tap) -> list[tuple[str, str, str]]:
    return [(row["from → to"], row["message"], row["detail"]) for row in tap.table().rows]


async def with_psycopg(dsn: str) -> list[Any]:
    found: list[Any] = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("create temp table p (i int primary key, t text)")
        async with connection.pipeline():
            cursors = [
                await connection.execute(
                    "insert into p values (%s, %s) returning i", (number, "z" * number)
                )
                for number in range(100)
            ]
        found.append([await cursor.fetchall() for cursor in cursors])

        async def failing() -> None:
            async with connection.pipeline():
                for number in (1000, 1, 1001):
                    await connection.execute("insert into p values (%s, '')", (number,))

        with pytest.raises(psycopg.errors.UniqueViolation):
            await failing()
        async with connection.cursor() as cursor:
            async with cursor.copy("copy p from stdin") as copy:
                for number in range(2000, 4000):
                    await copy.write_row((number, "copied"))
            async with cursor.copy("copy p to stdout") as copy:
                found.append(b"".join([bytes(data) async for data in copy]))
            with pytest.raises(ValueError, match="given up"):
                async with cursor.copy("copy p from stdin"):
                    raise ValueError("given up")
        async with connection.transaction(), connection.cursor("server_side") as named:
            await named.execute("select i from p order by i")
            found.append([row[0] async for row in named])
        found.append(
            await (
                await connection.execute("select repeat('x', 20000000)", prepare=True)
            ).fetchall()
        )
    return found


EXPECTED = """\
nr    from → to              message                                                  detail
----  ---------------------  -------------------------------------------------------  --------------------------------------
1     app → PgBouncer        Parse __asyncpg_stmt_1__, Describe, Flush                select 100 + $1::int
2     PgBouncer → backend A  Parse PGBOUNCER_1, Describe, Flush                       select 100 + $1::int
3     backend A → PgBouncer  ParseComplete, ParameterDescription, RowDescription
4     PgBouncer → app        ParseComplete, ParameterDescription, RowDescription
5     app → PgBouncer        Bind __asyncpg_stmt_1__, Execute, Sync                   $1 = 11, at most 1 row
6     PgBouncer → backend A  Bind PGBOUNCER_1, Execute, Sync                          $1 = 11, at most 1 row
7     backend A → PgBouncer  BindComplete, DataRow, PortalSuspended, ReadyForQuery I  111
8     PgBouncer → app        BindComplete, DataRow, PortalSuspended, ReadyForQuery I  111
9     app → PgBouncer        Query                                                    begin; selekt
10    PgBouncer → backend A  Query                                                    begin; selekt
11    backend A → PgBouncer  ErrorResponse, ReadyForQuery I                           42601 syntax error at or near "selekt"
12    PgBouncer → app        ErrorResponse, ReadyForQuery I                           42601 syntax error at or near "selekt\""""  # noqa: E501


async def example(tap: wire.Tap) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        tap.dsn("transaction"), server_settings={"application_name": "app"}
    )
    tap.clear()
    assert await connection.fetchval("select 100 + $1::int", 11) == 111
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await connection.execute("begin; selekt")
    return connection


def raw(tap: wire.Tap) -> socket.socket:
    return socket.create_connection(("127.0.0.1", tap.port), timeout=10)


def console(stack: Stack, *commands: LiteralString) -> None:
    with psycopg.connect(
        stack.pgbouncer.dsn("pgbouncer", user="postgres"),
        autocommit=True,
        cursor_factory=psycopg.ClientCursor,
    ) as connection:
        for command in commands:
            connection.execute(command)
