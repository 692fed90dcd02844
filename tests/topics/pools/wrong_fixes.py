"""Wrong fixes for exercise 02."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

Sell = Callable[[Any], Awaitable[Any]]
UPDATE = "update seats set status = 'sold' where id = $1 and status = 'free' returning price_cents"


async def dicts(conn: Any) -> None:
    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def set_when_connecting(dsn: str, name: str, timezone: str) -> Any:
    async def connect(*arguments: Any, **options: Any) -> Any:
        conn = await asyncpg.connect(*arguments, **options)
        await conn.execute(f"set application_name = '{name}'; set timezone = '{timezone}'")
        return conn

    return await asyncpg.create_pool(dsn, min_size=1, max_size=3, connect=connect, init=dicts)


async def set_at_each_acquire(dsn: str, name: str, timezone: str) -> Any:
    async def setup(conn: Any) -> None:
        await conn.execute(f"set timezone = '{timezone}'")

    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=3,
        init=dicts,
        setup=setup,
        server_settings={"application_name": name},
    )


async def codec_at_each_acquire(dsn: str, name: str, timezone: str) -> Any:
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=3,
        setup=dicts,
        server_settings={"application_name": name, "timezone": timezone},
    )


async def no_reset(dsn: str, name: str, timezone: str) -> Any:
    async def init(conn: Any) -> None:
        await conn.execute(f"set application_name = '{name}'; set timezone = '{timezone}'")
        await dicts(conn)

    async def reset(conn: Any) -> None:
        pass

    return await asyncpg.create_pool(dsn, min_size=1, max_size=3, init=init, reset=reset)


def box_office(
    acquire_timeout: float | None = None, query_timeout: float | None = None, **options: Any
) -> Callable[..., Any]:
    """With the limits somewhere."""

    async def open_box_office(dsn: str) -> tuple[Any, Sell]:
        pool = await asyncpg.create_pool(dsn, **{"min_size": 1, "max_size": 2, **options})

        async def sell(seat_id: Any) -> Any:
            try:
                async with pool.acquire(timeout=acquire_timeout) as conn:
                    return await conn.fetchval(UPDATE, seat_id, timeout=query_timeout)
            except TimeoutError:
                return "busy"

        return pool, sell

    return open_box_office


async def limit_everything(dsn: str) -> tuple[Any, Sell]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

    async def sell(seat_id: Any) -> Any:
        try:
            async with asyncio.timeout(0.3):
                return await pool.fetchval(UPDATE, seat_id)
        except TimeoutError:
            return "busy"

    return pool, sell


async def ask_without_waiting(dsn: str) -> tuple[Any, Sell]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

    async def sell(seat_id: Any) -> Any:
        if pool.get_size() == pool.get_max_size() and pool.get_idle_size() == 0:
            return "busy"
        return await pool.fetchval(UPDATE, seat_id)

    return pool, sell


async def release_when_it_went_well(dsn: str) -> tuple[Any, Sell]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

    async def sell(seat_id: Any) -> Any:
        try:
            conn = await pool.acquire(timeout=0.3)
        except TimeoutError:
            return "busy"
        price = await conn.fetchval(UPDATE, seat_id)
        await pool.release(conn, timeout=10)
        return price

    return pool, sell


async def limit_the_query(dsn: str) -> tuple[Any, Sell]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2, command_timeout=0.35)

    async def sell(seat_id: Any) -> Any:
        try:
            conn = await pool.acquire(timeout=0.3)
        except TimeoutError:
            return "busy"
        try:
            return await conn.fetchval(UPDATE, seat_id)
        finally:
            await pool.release(conn, timeout=10)

    return pool, sell


async def collect_garbage(pool: Any, requests: set[Any], patience: float) -> None:
    if requests:
        await asyncio.wait(requests, timeout=patience)
    gc.collect()
    await pool.close()


async def terminate(pool: Any, requests: set[Any], patience: float) -> None:
    pool.terminate()


async def close_within_the_patience(pool: Any, requests: set[Any], patience: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(pool.close(), patience)


async def stop_to_wait(pool: Any, requests: set[Any], patience: float) -> None:
    async def both() -> None:
        if requests:
            await asyncio.wait(requests)
        await pool.close()

    await asyncio.wait({asyncio.ensure_future(both())}, timeout=patience)


async def sleep_and_terminate(pool: Any, requests: set[Any], patience: float) -> None:
    await asyncio.sleep(patience)
    pool.terminate()


async def one_patience_each(pool: Any, requests: set[Any], patience: float) -> None:
    if requests:
        await asyncio.wait(requests, timeout=patience)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(pool.close(), patience)


async def gather_and_terminate(pool: Any, requests: set[Any], patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            await asyncio.gather(*requests)
            await pool.close()
    except Exception:
        pool.terminate()


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "once"): set_when_connecting,
    (1, "each time"): set_at_each_acquire,
    (1, "codec"): codec_at_each_acquire,
    (1, "left"): no_reset,
    (2, "connect"): box_office(timeout=1),
    (2, "query"): box_office(query_timeout=0.3),
    (2, "larger"): box_office(acquire_timeout=0.3, max_size=50),
    (2, "longer"): box_office(acquire_timeout=1.2),
    (2, "at once"): ask_without_waiting,
    (2, "everything"): limit_everything,
    (2, "leak"): release_when_it_went_well,
    (2, "release"): box_office(acquire_timeout=0.3),
    (3, "forever"): collect_garbage,
    (3, "cut"): terminate,
    (3, "queue"): close_within_the_patience,
    (3, "left"): stop_to_wait,
    (3, "sleeps"): sleep_and_terminate,
    (3, "twice"): one_patience_each,
    (3, "an error"): gather_and_terminate,
}

OTHER_ANSWERS = ((2, "everything", limit_the_query),)
