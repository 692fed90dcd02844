"""The errors of lesson 01."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import asyncpg
import trustme

from firedrill import faults, servers, tls
from firedrill.checking.connections import admin
from firedrill.checking.waiting import until

from ..raising import connect, raised_by

SLEEPS = "select pid from pg_stat_activity where wait_event = 'PgSleep'"
_lookup = socket.getaddrinfo


def with_raw_password(stack: servers.Stack, password: str) -> str:
    """A DSN with a password as it is, not percent-encoded."""
    return stack.postgres.dsn().replace(stack.postgres.password, password)


def two_addresses(host: str, *more: Any, **options: Any) -> Any:
    return [found for one in ("127.0.0.1", "127.0.0.2") for found in _lookup(one, *more, **options)]


@contextlib.asynccontextmanager
async def with_tls(stack: servers.Stack, ca: trustme.CA | None = None) -> AsyncIterator[None]:
    await tls.enable(stack.postgres, ca)
    try:
        yield
    finally:
        await tls.disable(stack.postgres)


async def refused(stack: servers.Stack) -> BaseException:
    with stack.postgres.down():
        return await raised_by(connect(stack.postgres.dsn()))


async def refused_on_all_addresses(stack: servers.Stack) -> BaseException:
    with patch("socket.getaddrinfo", two_addresses):
        return await raised_by(connect("postgresql://encore:x@two.example:1/encore"))


async def closed_in_the_middle(stack: servers.Stack) -> BaseException:
    look, conn = await admin(stack), await asyncpg.connect(stack.postgres.dsn())
    query = asyncio.create_task(conn.fetchval("select pg_sleep(60)"))
    assert await until(lambda: look.fetchval(SLEEPS), "the query is under way")
    look.terminate()
    with stack.postgres.down("kill"):
        return await raised_by(query)


async def unknown_host(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(with_raw_password(stack, "p@ss")))


async def port_that_is_no_number(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(with_raw_password(stack, "p#ss")))


async def query_field_of_a_DSN(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(with_raw_password(stack, "p?ss")))


async def bracket_in_a_DSN(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(with_raw_password(stack, "p[ss")))


async def resolver(stack: servers.Stack) -> BaseException:
    # The one error that is not raised by a real fault here: no test switches this machine's
    # network off.
    no_network = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with patch("socket.getaddrinfo", side_effect=no_network):
        return await raised_by(connect("postgresql://encore:x@db.example/encore"))


async def scheme_of_a_DSN(stack: servers.Stack) -> BaseException:
    dsn = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
    return await raised_by(connect(dsn))


async def unknown_setting(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.postgres.dsn() + "?connect_timeout=5"))


async def setting_through_PgBouncer(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.pgbouncer.dsn(), server_settings={"jit": "off"}))


async def setting_that_is_no_string(stack: servers.Stack) -> BaseException:
    settings = {"statement_timeout": 5000}
    return await raised_by(connect(stack.postgres.dsn(), server_settings=settings))


async def wrong_password(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(with_raw_password(stack, "guess")))


async def no_such_database(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.postgres.dsn("encroe")))


async def password_through_PgBouncer(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.pgbouncer.dsn(), password="guess"))


async def database_of_PgBouncer(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.pgbouncer.dsn("encroe")))


async def connect_timed_out(stack: servers.Stack) -> BaseException:
    with stack.postgres.paused():
        return await raised_by(connect(stack.postgres.dsn(), timeout=0.2))


async def cannot_connect_now(stack: servers.Stack) -> BaseException:
    async with faults.starting_up(stack.postgres, 0.1):
        return await raised_by(connect(stack.postgres.dsn()))


async def tls_not_offered(stack: servers.Stack) -> BaseException:
    return await raised_by(connect(stack.postgres.dsn(), ssl="require"))


async def certificate(stack: servers.Stack) -> BaseException:
    async with with_tls(stack, trustme.CA()):
        return await raised_by(connect(stack.postgres.dsn(), ssl=True))


async def root_certificate_file(stack: servers.Stack) -> BaseException:
    with patch.dict("os.environ", HOME="/nonexistent"):
        return await raised_by(connect(stack.postgres.dsn(), ssl="verify-full"))


async def tls_required(stack: servers.Stack) -> BaseException:
    async with with_tls(stack):
        await tls.require(stack.postgres)
        try:
            return await raised_by(connect(stack.postgres.dsn(), ssl=False))
        finally:
            await tls.require(stack.postgres, False)


async def socket_missing(stack: servers.Stack) -> BaseException:
    with tempfile.TemporaryDirectory() as folder:
        return await raised_by(connect(host=folder, user="encore"))


async def socket_left_behind(stack: servers.Stack) -> BaseException:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{folder}/.s.PGSQL.5432")
        return await raised_by(connect(host=folder, user="encore"))
