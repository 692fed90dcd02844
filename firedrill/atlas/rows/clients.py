"""What the release of asyncpg decides."""

from __future__ import annotations

import asyncio
import inspect
import struct
import time
from collections.abc import Callable

import asyncpg

from .. import row
from ..lab import Lab, said, tried, until

POOLS, NAMES, COPY = "02_pools", "10_prepared_statements", "07_bulk_loading"


@row("asyncpg", "statement_cache_size=0: the statement of prepare() has a name", NAMES)
async def prepare_without_cache(lab: Lab) -> object:
    conn = await lab.connect(statement_cache_size=0)
    return bool((await conn.prepare("select 1")).get_name())


@row(
    "asyncpg",
    "statement_cache_size=0 and max_prepared_statements = 0: prepare(), then fetch() on another "
    "backend",
    NAMES,
)
async def prepare_behind_pool(lab: Lab) -> object:
    lab.console("set max_prepared_statements = 0")
    conn = await lab.connect("transaction", statement_cache_size=0)
    statement = await conn.prepare("select 1")
    await statement.fetchval()
    await lab.hold()
    return await tried(statement.fetchval())


def _has(name: str, title: str, lesson: str, there: Callable[[], bool]) -> None:
    async def measure(lab: Lab) -> object:
        return there()

    measure.__name__ = name
    row("asyncpg", title, lesson)(measure)


def _takes(function: Callable[..., object], name: str) -> bool:
    return name in inspect.signature(function).parameters


_has("has_fetchmany", "fetchmany()", COPY, lambda: hasattr(asyncpg.Connection, "fetchmany"))
_has("takes_reset", "create_pool(reset=...)", POOLS, lambda: _takes(asyncpg.create_pool, "reset"))
_has(
    "takes_connect",
    "create_pool(connect=...)",
    POOLS,
    lambda: _takes(asyncpg.create_pool, "connect"),
)
_has(
    "takes_service",
    "connect(service=...)",
    "01_connecting",
    lambda: _takes(asyncpg.connect, "service"),
)
_has(
    "public_reset_query",
    "get_reset_query() is public",
    POOLS,
    lambda: hasattr(asyncpg.Connection, "get_reset_query"),
)


@row("asyncpg", "create_pool(init_size=...)", POOLS)
async def takes_init_size(lab: Lab) -> object:
    try:
        await lab.pool(min_size=1, max_size=3, init_size=2)
    except TypeError as error:
        return said(error)
    return "works"


@row(
    "asyncpg",
    "min_size=2: connections left when all were idle for max_inactive_connection_lifetime",
    POOLS,
)
async def idle_floor(lab: Lab) -> object:
    pool = await lab.pool(min_size=2, max_size=4, max_inactive_connection_lifetime=0.2)
    many = [await pool.acquire() for _ in range(4)]
    for one in many:
        await pool.release(one)
    await until(lambda: pool.get_size() == 0, 3)
    return pool.get_size()


@row("asyncpg", "await of a pool that is open already", POOLS)
async def await_twice(lab: Lab) -> object:
    pool = await lab.pool(min_size=0, max_size=1)
    return "the pool" if await pool is pool else "None"


@row(
    "asyncpg",
    "copy_records_to_table after a column went from bigint to double precision: 5 is stored as",
    COPY,
)
async def stale_copy(lab: Lab) -> object:
    conn, migration = await lab.connect(), await lab.connect()
    await conn.execute("create table price (v bigint)")
    await conn.copy_records_to_table("price", records=[(4,)])
    await migration.execute("truncate price")
    await migration.execute("alter table price alter column v type double precision")
    await tried(conn.copy_records_to_table("price", records=[(5,)]))
    return await migration.fetchval("select v from price")


@row("asyncpg", "a backend that is terminated during a query: the error", "01_connecting")
async def terminated_text(lab: Lab) -> object:
    conn, admin = await lab.connect(), await lab.admin()
    running = asyncio.create_task(tried(conn.fetchval("select pg_sleep(10)")))
    while not await admin.fetchval(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity "
        "where query = 'select pg_sleep(10)' and state = 'active'"
    ):
        await asyncio.sleep(0.02)
    return (await running).replace("connection was closed in the middle of operation", "closed ...")


@row(
    "asyncpg",
    "the server freezes during a query, command_timeout=1: release() returns",
    "04_timeouts_and_cancellation",
)
async def black_hole(lab: Lab) -> object:
    pool = await lab.pool(min_size=1, max_size=1, command_timeout=1)

    async def ask() -> None:
        # No timeout for acquire(): it would be release()'s as well.
        async with pool.acquire() as conn:
            await conn.fetchval("select pg_sleep(10)")

    begun = time.monotonic()
    with lab.stack.postgres.paused():
        asking = asyncio.create_task(tried(ask()))
        done, _ = await asyncio.wait([asking], timeout=8)
    seconds = time.monotonic() - begun
    answer = "within 8 s" if done and seconds < 8 else "no, it hangs in release() for more than 8 s"
    asking.cancel()
    return answer


@row(
    "asyncpg",
    "query_logger() whose block raises: the callback is still there afterwards",
    "04_timeouts_and_cancellation",
)
async def logger_left(lab: Lab) -> object:
    conn = await lab.connect()
    heard: list[object] = []
    try:
        with conn.query_logger(heard.append):
            await conn.fetchval("select 1/0")
    except asyncpg.DivisionByZeroError:
        await until(lambda: heard, 1)
        heard.clear()
    await conn.fetchval("select 1")
    return await until(lambda: heard, 0.5)


@row("asyncpg", "direct_tls=True without ssl=", "01_connecting")
async def direct_tls_without_ssl(lab: Lab) -> object:
    return (await tried(lab.connect(direct_tls=True, ssl="prefer"))).partition(":")[0]


@row("asyncpg", "a server without TLS, ssl='require': the error", "01_connecting")
async def refused_tls(lab: Lab) -> object:
    answer = await tried(lab.connect(ssl="require"))
    return answer.replace(f":{lab.stack.postgres.port}", "")


@row("asyncpg", "int for a text parameter: the error", "06_parameters")
async def int_for_text(lab: Lab) -> object:
    return await tried((await lab.connect()).fetchval("select $1::text", 7))


@row("asyncpg", "two statements with a parameter: the error", "06_parameters")
async def two_statements(lab: Lab) -> object:
    return await tried((await lab.connect()).execute("select 1; select $1::int", 7))


@row("asyncpg", "the connection is used by two tasks at once: the error", "02_pools")
async def two_tasks(lab: Lab) -> object:
    conn = await lab.connect()
    first = asyncio.create_task(conn.fetchval("select pg_sleep(0.3)"))
    await asyncio.sleep(0.05)
    answer = await tried(conn.fetchval("select 1"))
    await first
    return answer


@row(
    "asyncpg",
    "a query that was cancelled by its caller: still running on the server 1 s later",
    "04_timeouts_and_cancellation",
)
async def cancelled_by_caller(lab: Lab) -> object:
    conn, admin = await lab.connect(), await lab.admin()
    query = (
        "select count(*) from pg_stat_activity "
        "where query ~ '^select pg_sleep' and state = 'active'"
    )
    asking = asyncio.create_task(conn.fetchval("select pg_sleep(10)"))
    while not await admin.fetchval(query):
        await asyncio.sleep(0.02)
    asking.cancel()
    for _ in range(20):
        if not await admin.fetchval(query):
            return False
        await asyncio.sleep(0.05)
    return True


@row("asyncpg", "protocol version asked for", "01_connecting")
async def protocol_version(lab: Lab) -> object:
    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set_result(await reader.readexactly(8))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await tried(asyncpg.connect(host="127.0.0.1", port=port, user="x", ssl=False, timeout=3))
    server.close()
    _, version = struct.unpack("!ii", await asked)
    return f"{version >> 16}.{version & 0xFFFF}"
