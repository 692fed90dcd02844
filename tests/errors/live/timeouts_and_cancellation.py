"""Errors of the topic `timeouts_and_cancellation`, raised live: for the newer entries."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any

import asyncpg

from firedrill import servers
from firedrill.checking.connections import admin
from firedrill.checking.waiting import until

from . import raised_by


async def until_active(look: Any, pid: int) -> None:
    async def active() -> bool:
        query = "select state = 'active' from pg_stat_activity where pid = $1"
        return bool(await look.fetchval(query, pid))

    await until(active, "the query runs")


async def administrator_command(stack: servers.Stack) -> BaseException:
    conn, look = await asyncpg.connect(stack.postgres.dsn()), await admin(stack)
    query = asyncio.ensure_future(conn.fetch("select pg_sleep(60)"))
    await until_active(look, conn.get_server_pid())
    await look.execute("select pg_terminate_backend($1)", conn.get_server_pid())
    error = await raised_by(query)
    await look.close()
    return error


async def release_timed_out(stack: servers.Stack) -> BaseException:
    pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
    conn = await pool.acquire()
    with stack.postgres.paused():
        error = await raised_by(pool.release(conn, timeout=0.2))
        pool.terminate()
    return error


async def loop_is_running(stack: servers.Stack) -> BaseException:
    try:
        asyncio.get_running_loop().run_until_complete(None)  # type: ignore[arg-type]
    except RuntimeError as error:
        return error
    raise AssertionError("nothing was raised")


async def no_running_loop(stack: servers.Stack) -> BaseException:
    def outside() -> BaseException:
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:
            return error
        raise AssertionError("nothing was raised")

    return await asyncio.to_thread(outside)


async def never_awaited(stack: servers.Stack) -> BaseException:
    async def execute() -> None: ...

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        execute()  # type: ignore[unused-coroutine]
        gc.collect()
    warning = seen[0].message
    assert isinstance(warning, Warning)
    return warning


async def coroutine_without_await(stack: servers.Stack) -> BaseException:
    opening = asyncpg.connect(stack.postgres.dsn())
    try:
        opening.fetch("select 1")
    except AttributeError as error:
        return error
    finally:
        opening.close()
    raise AssertionError("nothing was raised")


async def timeout_outside_of_a_task(stack: servers.Stack) -> BaseException:
    """A callback of the loop drives the coroutine, as libraries with their own scheduler do."""
    result: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def connect() -> None:
        await asyncpg.connect(stack.postgres.dsn(), timeout=5)

    def step() -> None:
        coroutine = connect()
        try:
            coroutine.send(None)
        except RuntimeError as error:
            result.set_result(error)
        else:
            result.set_result(AssertionError("nothing was raised"))
        finally:
            coroutine.close()

    asyncio.get_running_loop().call_soon(step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # asyncpg's own coroutine inside is never begun
        error = await result
        gc.collect()
    return error


async def cancelled_in_a_query(stack: servers.Stack) -> BaseException:
    conn, look = await asyncpg.connect(stack.postgres.dsn()), await admin(stack)
    try:
        query = asyncio.ensure_future(conn.fetch("select pg_sleep(60)"))
        await until_active(look, conn.get_server_pid())
        query.cancel()
        try:
            await query
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("the query was not cancelled")
    finally:
        await look.close()
        conn.terminate()
