"""Wrong fixes for exercise 17, and other right ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import psycopg

from .answers import ANSWERS

LIST = """
    select id, placed_at, basket, (total_cents / 100.0)::numeric(10, 2) as total
    from orders where customer_id = $1::text::int and placed_at >= $2::text::timestamptz
    order by id"""
LIST_OF_VALUES = LIST.replace("::text::int", "").replace("::text::timestamptz", "")


def _read(rows: Any) -> list[dict[str, Any]]:
    return [dict(row) | {"basket": json.loads(row["basket"])} for row in rows]


async def records(conn: Any, customer: str, since: str) -> Any:
    return await conn.fetch(LIST, customer, since)


async def dicts_with_texts(conn: Any, customer: str, since: str) -> Any:
    return [dict(row) for row in await conn.fetch(LIST, customer, since)]


async def read_the_moment_here(conn: Any, customer: str, since: str) -> Any:
    return _read(await conn.fetch(LIST_OF_VALUES, int(customer), datetime.fromisoformat(since)))


async def read_the_moment_as_utc(conn: Any, customer: str, since: str) -> Any:
    moment = datetime.fromisoformat(since)
    return _read(
        await conn.fetch(
            LIST_OF_VALUES, int(customer), moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        )
    )


async def a_codec_for_good(conn: Any, customer: str, since: str) -> Any:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    return [dict(row) for row in await conn.fetch(LIST, customer, since)]


async def a_codec_for_this_query(conn: Any, customer: str, since: str) -> Any:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    try:
        return [dict(row) for row in await conn.fetch(LIST, customer, since)]
    finally:
        await conn.reset_type_codec("jsonb", schema="pg_catalog")


async def texts_in_the_query(conn: Any, customer: str, since: str) -> Any:
    return _read(
        await conn.fetch(LIST.replace("$1::text::int", customer).replace("$2::text", f"'{since}'"))
    )


async def quoted_texts_in_the_query(conn: Any, customer: str, since: str) -> Any:
    return _read(
        await conn.fetch(
            LIST.replace("$1::text", f"'{customer}'").replace("$2::text", f"'{since}'")
        )
    )


CONFLICT = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
LIMIT = "set local lock_timeout = '500ms'"
FIRST = "insert into first_orders values ($1, $2)"


async def _take(conn: Any, customer: int, event: int, seat: str) -> Any:
    """The order's number, before it goes into first_orders."""
    price = await conn.fetchval(
        """update seats set status = 'sold'
        where event_id = $1 and label = $2 and status = 'free' returning price_cents""",
        event,
        seat,
    )
    if price is None:
        return None
    return await conn.fetchval(
        "insert into orders (customer_id, total_cents, basket) values ($1, $2, $3) returning id",
        customer,
        price,
        json.dumps({"event": event, "seats": [seat]}),
    )


async def _whole(conn: Any, customer: int, event: int, seat: str) -> Any:
    order = await _take(conn, customer, event, seat)
    if order is not None:
        await conn.execute(f"{FIRST} on conflict do nothing", customer, order)
    return order


async def _again(once: Callable[[], Any]) -> Any:
    for _ in range(2):
        with contextlib.suppress(*CONFLICT):
            return await once()
    return await once()


async def each_for_itself(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire(timeout=1) as conn:
            await conn.execute("set lock_timeout = '500ms'")
            return await _whole(conn, customer, event, seat)

    return await _again(once)


async def catch_it_in_the_transaction(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire(timeout=1) as conn, conn.transaction():
            await conn.execute(LIMIT)
            order = await _take(conn, customer, event, seat)
            if order is not None:
                with contextlib.suppress(asyncpg.UniqueViolationError):
                    await conn.execute(FIRST, customer, order)
            return order

    return await _again(once)


async def a_savepoint(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn:

        async def once() -> Any:
            async with conn.transaction():
                await conn.execute(LIMIT)
                order = await _take(conn, customer, event, seat)
                if order is not None:
                    with contextlib.suppress(asyncpg.UniqueViolationError):
                        async with conn.transaction():
                            await conn.execute(FIRST, customer, order)
                return order

        return await _again(once)


async def try_again_in_the_transaction(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn, conn.transaction():
        await conn.execute(LIMIT)
        return await _again(lambda: _whole(conn, customer, event, seat))


async def commit_after_the_attempts(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn:
        for left in (2, 1, 0):
            transaction = conn.transaction()
            await transaction.start()
            try:
                await conn.execute(LIMIT)
                order = await _whole(conn, customer, event, seat)
                break
            except BaseException as error:
                await transaction.rollback()
                if not left or not isinstance(error, CONFLICT):
                    raise
        await transaction.commit()
        return order


async def wait_for_a_connection(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute(LIMIT)
            return await _whole(conn, customer, event, seat)

    return await _again(once)


async def the_limit_before_the_transaction(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire(timeout=1) as conn:
            await conn.execute(LIMIT)
            async with conn.transaction():
                return await _whole(conn, customer, event, seat)

    return await _again(once)


async def release_at_the_end(pool: Any, customer: int, event: int, seat: str) -> Any:
    conn = await pool.acquire(timeout=1)

    async def once() -> Any:
        async with conn.transaction():
            await conn.execute(LIMIT)
            return await _whole(conn, customer, event, seat)

    order = await _again(once)
    await pool.release(conn)
    return order


def _with_limit(limit: str) -> Callable[..., Any]:
    async def sell(pool: Any, customer: int, event: int, seat: str) -> Any:
        async def once() -> Any:
            async with pool.acquire(timeout=1) as conn, conn.transaction():
                await conn.execute(f"set local {limit}")
                return await _whole(conn, customer, event, seat)

        return await _again(once)

    sell.__name__ = limit.replace(" ", "_")
    return sell


async def a_second_for_all(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute(LIMIT)
            return await _whole(conn, customer, event, seat)

    async with asyncio.timeout(1):
        return await _again(once)


async def a_codec_in_the_pool(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        async with pool.acquire(timeout=1) as conn:
            await conn.set_type_codec(
                "jsonb", schema="pg_catalog", encoder=lambda value: value, decoder=json.loads
            )
            async with conn.transaction():
                await conn.execute(LIMIT)
                return await _whole(conn, customer, event, seat)

    return await _again(once)


async def release_after_an_exception(pool: Any, customer: int, event: int, seat: str) -> Any:
    async def once() -> Any:
        conn = await pool.acquire(timeout=1)
        try:
            async with conn.transaction():
                await conn.execute(LIMIT)
                order = await _whole(conn, customer, event, seat)
        except Exception:
            await pool.release(conn)
            raise
        await pool.release(conn)
        return order

    return await _again(once)


UPDATE = """
    update seats set price_cents = %(cents)s
    where event_id = %(event)s and label = %(label)s and price_cents <> %(cents)s"""


async def _update(conn: Any, event: int, prices: list[tuple[str, int]]) -> int:
    changed = 0
    for label, cents in prices:
        changed += (
            await conn.execute(UPDATE, {"event": event, "label": label, "cents": cents})
        ).rowcount
    return changed


async def close_only(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    conn = await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None)
    try:
        return await _update(conn, event, prices)
    finally:
        await conn.close()


async def autocommit(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, prepare_threshold=None
    ) as conn:
        return await _update(conn, event, prices)


async def as_it_comes(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        return await _update(conn, event, prices)


async def threshold_zero(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=0) as conn:
        return await _update(conn, event, prices)


async def texts_in_the_update(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn:
        changed = 0
        for label, cents in prices:
            query = UPDATE.replace("%(label)s", f"'{label}'") % {"event": event, "cents": cents}
            changed += (await conn.execute(query)).rowcount
        return changed


async def close_at_the_end(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    conn = await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None)
    changed = await _update(conn, event, prices)
    await conn.commit()
    await conn.close()
    return changed


async def make_room(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        await conn.execute("deallocate all")
        return await _update(conn, event, prices)


async def in_one_statement_as_it_is(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        cursor = await conn.execute(
            """
            update seats set price_cents = cents
            from unnest(%s::text[], %s::int[]) as new (seat, cents)
            where event_id = %s and label = seat and price_cents <> cents""",
            ([label for label, _ in prices], [cents for _, cents in prices], event),
        )
        return cursor.rowcount


async def in_one_statement(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    return await in_one_statement_as_it_is(dsn, event, list(dict(prices).items()))


async def through_a_table(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as conn, conn.cursor() as cursor:
        await cursor.execute("create temporary table new (seat text, cents int) on commit drop")
        async with cursor.copy("copy new from stdin") as copy:
            for price in dict(prices).items():
                await copy.write_row(price)
        await cursor.execute(
            """update seats set price_cents = cents from new
            where event_id = %s and label = seat and price_cents <> cents""",
            (event,),
        )
        return cursor.rowcount


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "records"): records,
    (1, "text"): dicts_with_texts,
    (1, "zone"): read_the_moment_here,
    (1, "for everybody"): a_codec_for_good,
    (1, "sql"): texts_in_the_query,
    (2, "half"): each_for_itself,
    (2, "swallowed"): catch_it_in_the_transaction,
    (2, "inside"): try_again_in_the_transaction,
    (2, "no limit"): the_limit_before_the_transaction,
    (2, "forever"): wait_for_a_connection,
    (2, "leak"): release_at_the_end,
    (2, "for everybody"): a_codec_in_the_pool,
    (3, "not committed"): close_only,
    (3, "half"): autocommit,
    (3, "left open"): close_at_the_end,
    (3, "prepared"): as_it_comes,
    (3, "others"): make_room,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "zone", read_the_moment_as_utc),
    (1, None, a_codec_for_this_query),
    (1, "sql", quoted_texts_in_the_query),
    (2, None, a_savepoint),
    (2, "", a_second_for_all),
    (2, "", _with_limit("lock_timeout = '2s'")),
    (2, "leak", release_after_an_exception),
    (2, "inside", commit_after_the_attempts),
    (3, "", texts_in_the_update),
    (3, "prepared", threshold_zero),
    (3, "", in_one_statement_as_it_is),
    (3, None, in_one_statement),
    (3, None, through_a_table),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (*ANSWERS,)
