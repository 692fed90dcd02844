"""The errors of lesson 01."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Awaitable
from unittest.mock import patch

import asyncpg
import trustme

from firedrill import faults, servers, tls, views

from ..raising import connect, raised_by


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.postgres.dsn()
    lookup = socket.getaddrinfo
    raised: dict[str, BaseException] = {}

    async def note(entry: str, action: Awaitable[object]) -> None:
        raised[entry] = await raised_by(action)

    def with_password(password: str) -> str:
        return dsn.replace(stack.postgres.password, password)

    with stack.postgres.down():
        await note("refused", connect(dsn))
    with patch(
        "socket.getaddrinfo",
        lambda host, *more, **options: [
            found for one in ("127.0.0.1", "127.0.0.2") for found in lookup(one, *more, **options)
        ],
    ):
        await note(
            "refused on all addresses", connect("postgresql://encore:x@two.example:1/encore")
        )
    connection = await asyncpg.connect(dsn)
    query = asyncio.create_task(connection.fetchval("select pg_sleep(60)"))
    while "active" not in [row["state"] for row in (await views.backends(stack.postgres)).rows]:
        await asyncio.sleep(0.01)
    stack.postgres.kill()
    await note("closed in the middle", query)
    stack.postgres.start()
    await note("unknown host", connect(with_password("p@ss")))
    await note("port that is no number", connect(with_password("p#ss")))
    await note("query field of a DSN", connect(with_password("p?ss")))
    await note("bracket in a DSN", connect(with_password("p[ss")))
    # The one error that is not raised by a real fault here: no test switches this machine's network off.
    no_network = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with patch("socket.getaddrinfo", side_effect=no_network):
        await note("resolver", connect("postgresql://encore:x@db.example/encore"))
    await note("scheme of a DSN", connect(dsn.replace("postgresql:", "postgresql+asyncpg:")))
    await note("unknown setting", connect(dsn + "?connect_timeout=5"))
    await note(
        "setting through PgBouncer", connect(stack.pgbouncer.dsn(), server_settings={"jit": "off"})
    )
    await note(
        "setting that is no string", connect(dsn, server_settings={"statement_timeout": 5000})
    )
    await note("wrong password", connect(with_password("guess")))
    await note("no such database", connect(stack.postgres.dsn("encroe")))
    await note("password through PgBouncer", connect(stack.pgbouncer.dsn(), password="guess"))
    await note("database of PgBouncer", connect(stack.pgbouncer.dsn("encroe")))
    with stack.postgres.paused():
        await note("connect timed out", connect(dsn, timeout=0.2))
    async with faults.starting_up(stack.postgres, 0.1):
        await note("cannot connect now", connect(dsn))
    await note("tls not offered", connect(dsn, ssl="require"))
    await tls.enable(stack.postgres, trustme.CA())
    await note("certificate", connect(dsn, ssl=True))
    with patch.dict("os.environ", HOME="/nonexistent"):
        await note("root certificate file", connect(dsn, ssl="verify-full"))
    await tls.require(stack.postgres)
    await note("tls required", connect(dsn, ssl=False))
    with tempfile.TemporaryDirectory() as folder:
        await note("socket missing", connect(host=folder, user="encore"))
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"{folder}/.s.PGSQL.5432")
        await note("socket left behind", connect(host=folder, user="encore"))
    return raised
