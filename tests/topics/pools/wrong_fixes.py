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


async def set_by_the_reset(dsn: str, name: str, timezone: str) -> Any:
    settings = f"set application_name = '{name}'; set timezone = '{timezone}'"

    async def init(conn: Any) -> None:
        await dicts(conn)
        await conn.execute(settings)

    async def reset(conn: Any) -> None:
        await conn.execute(conn.get_reset_query() + settings)

    return await asyncpg.create_pool(dsn, min_size=1, max_size=3, init=init, reset=reset)


async def set_for_the_role(dsn: str, name: str, timezone: str) -> Any:
    conn = await asyncpg.connect(dsn)
    await conn.execute(f"alter role current_user set timezone = '{timezone}'")
    await conn.close()
    return await asyncpg.create_pool(
        dsn, min_size=1, max_size=3, init=dicts, server_settings={"application_name": name}
    )


settings_of_all: dict[str, str] = {}


async def one_dict_for_all_offices(dsn: str, name: str, timezone: str) -> Any:
    settings_of_all.update(application_name=name, timezone=timezone)

    async def connect(*arguments: Any, **options: Any) -> Any:
        return await asyncpg.connect(*arguments, **options, server_settings=settings_of_all)

    return await asyncpg.create_pool(dsn, min_size=1, max_size=3, connect=connect, init=dicts)


async def reads_and_does_not_write(dsn: str, name: str, timezone: str) -> Any:
    async def init(conn: Any) -> None:
        await conn.set_type_codec("jsonb", encoder=str, decoder=json.loads, schema="pg_catalog")

    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=3,
        init=init,
        server_settings={"application_name": name, "timezone": timezone},
    )


async def json_is_no_jsonb(dsn: str, name: str, timezone: str) -> Any:
    async def init(conn: Any) -> None:
        await conn.set_type_codec(
            "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )

    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=3,
        init=init,
        server_settings={"application_name": name, "timezone": timezone},
    )


async def with_a_text_codec(dsn: str, name: str, timezone: str) -> Any:
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=3,
        init=dicts,
        server_settings={"application_name": name, "timezone": timezone},
    )


def sells_by(query: Callable[..., Any]) -> Callable[..., Any]:
    """A right box office around `query(conn, seat_id)`."""

    async def open_box_office(dsn: str) -> tuple[Any, Sell]:
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

        async def sell(seat_id: Any) -> Any:
            try:
                conn = await pool.acquire(timeout=0.3)
            except TimeoutError:
                return "busy"
            try:
                return await query(conn, seat_id)
            finally:
                await pool.release(conn, timeout=10)

        return pool, sell

    open_box_office.__name__ = query.__name__
    return open_box_office


async def look_then_sell(conn: Any, seat_id: Any) -> Any:
    row = await conn.fetchrow("select status, price_cents from seats where id = $1", seat_id)
    if row["status"] != "free":
        return None
    await conn.execute("update seats set status = 'sold' where id = $1", seat_id)
    return row["price_cents"]


async def sell_what_is_not_sold(conn: Any, seat_id: Any) -> Any:
    return await conn.fetchval(UPDATE.replace("status = 'free'", "status <> 'sold'"), seat_id)


async def lock_then_sell(conn: Any, seat_id: Any) -> Any:
    async with conn.transaction():
        row = await conn.fetchrow(
            "select status, price_cents from seats where id = $1 for update", seat_id
        )
        if row["status"] != "free":
            return None
        await conn.execute("update seats set status = 'sold' where id = $1", seat_id)
        return row["price_cents"]


async def forget_it_when_cancelled(dsn: str) -> tuple[Any, Sell]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

    async def sell(seat_id: Any) -> Any:
        try:
            conn = await pool.acquire(timeout=0.3)
        except TimeoutError:
            return "busy"
        try:
            price = await conn.fetchval(UPDATE, seat_id)
        except Exception:
            await pool.release(conn, timeout=10)
            raise
        await pool.release(conn, timeout=10)
        return price

    return pool, sell


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


async def wait_for_who_was_cancelled(pool: Any, requests: set[Any], patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            if requests:
                await asyncio.wait(requests)
            await pool.close()
    except TimeoutError:
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        pool.terminate()


async def cancel_nobody(pool: Any, requests: set[Any], patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            if requests:
                await asyncio.wait(requests)
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def by_one_deadline(pool: Any, requests: set[Any], patience: float) -> None:
    end = asyncio.get_running_loop().time() + patience
    late: set[Any] = set()
    if requests:
        _, late = await asyncio.wait(requests, timeout=patience)
    for request in late:
        request.cancel()
    try:
        async with asyncio.timeout_at(end):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def every_end_is_busy(dsn: str) -> tuple[Any, Sell]:
    """An error of the query is told as if the pool were full."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)

    async def sell(seat_id: Any) -> Any:
        try:
            conn = await pool.acquire(timeout=0.3)
        except TimeoutError:
            return "busy"
        try:
            return await conn.fetchval(UPDATE, seat_id)
        except (TimeoutError, asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError):
            return "busy"
        finally:
            await pool.release(conn, timeout=10)

    return pool, sell


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
    (2, "sold again"): sells_by(look_then_sell),
    (3, "obeyed"): wait_for_who_was_cancelled,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (2, "everything", limit_the_query),
    (2, "", sells_by(sell_what_is_not_sold)),
    (2, None, sells_by(lock_then_sell)),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "", set_by_the_reset),
    (1, "", set_for_the_role),
    (1, "", one_dict_for_all_offices),
    (1, "", reads_and_does_not_write),
    (1, "", json_is_no_jsonb),
    (1, None, with_a_text_codec),
    (2, "leak", forget_it_when_cancelled),
    (2, "", every_end_is_busy),
    (3, "", cancel_nobody),
    (3, None, by_one_deadline),
)
