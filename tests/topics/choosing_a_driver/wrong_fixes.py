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


# The warm-up, and the stretch


async def _names(conn: Any, query: str, *values: Any) -> list[str]:
    cursor = await conn.execute(query, values or None)
    return [row[0] for row in await cursor.fetchall()]


async def with_concat(conn: Any, part: str) -> list[str]:
    return await _names(
        conn, "select name from customers where name like concat(%s, '%') order by id", part
    )


async def part_of_the_query(conn: Any, part: str) -> list[str]:
    return await _names(conn, f"select name from customers where name like '{part}%' order by id")


async def part_and_percent(conn: Any, part: str) -> list[str]:
    return await _names(
        conn, "select name from customers where name like %s order by id", f"{part}%"
    )


async def only_the_first(conn: Any, part: str) -> list[str]:
    return (await part_and_percent(conn, part))[:1]


TO_REPEAT = ("40001", "40P01")


def _code(error: BaseException) -> str | None:
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None)


async def classes_of_asyncpg(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
            if pause is None:
                raise
            await asyncio.sleep(pause)
    return None


async def classes_of_psycopg(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            if pause is None:
                raise
            await asyncio.sleep(pause)
    return None


async def not_the_wrapped(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except Exception as error:
            if pause is None or getattr(error, "sqlstate", None) not in TO_REPEAT:
                raise
            await asyncio.sleep(pause)
    return None


async def any_error_again(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except Exception:
            if pause is None:
                raise
            await asyncio.sleep(pause)
    return None


async def a_lost_connection_again(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
            if pause is None:
                raise
        except Exception as error:
            if pause is None or _code(error) not in (*TO_REPEAT, "57P01"):
                raise
        await asyncio.sleep(pause)
    return None


async def at_once(attempt: Any) -> Any:
    for left in (2, 1, 0):
        try:
            return await attempt()
        except Exception as error:
            if not left or _code(error) not in TO_REPEAT:
                raise
    return None


async def without_end(attempt: Any) -> Any:
    while True:
        try:
            return await attempt()
        except Exception as error:
            if _code(error) not in TO_REPEAT:
                raise
            await asyncio.sleep(0.03)


async def none_at_last(attempt: Any) -> Any:
    for pause in (0.03, 0.06, 0.09):
        try:
            return await attempt()
        except Exception as error:
            if _code(error) not in TO_REPEAT:
                raise
            await asyncio.sleep(pause)
    return None


async def an_error_of_its_own(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except Exception as error:
            if _code(error) not in TO_REPEAT:
                raise
            if pause is None:
                raise RuntimeError("busy") from error
            await asyncio.sleep(pause)
    return None


async def only_conflicts(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except Exception as error:
            if pause is None or _code(error) != "40001":
                raise
            await asyncio.sleep(pause)
    return None


async def being_cancelled_is_an_error(attempt: Any) -> Any:
    for pause in (0.03, 0.06, None):
        try:
            return await attempt()
        except BaseException as error:
            is_gone = isinstance(error, asyncio.CancelledError)
            if pause is None or not (is_gone or _code(error) in TO_REPEAT):
                raise
            await asyncio.sleep(pause)
    return None


async def by_recursion(attempt: Any) -> Any:
    return await _called_again(attempt, 3)


async def _called_again(attempt: Any, left: int) -> Any:
    try:
        return await attempt()
    except Exception as error:
        conflict = _code(error) in TO_REPEAT
        if left == 1 or not conflict:
            raise
    await asyncio.sleep(0.1)
    return await _called_again(attempt, left - 1)


class _Conflict:
    """Swallows conflicts while attempts are left."""

    left = 3

    async def __aenter__(self) -> None:
        self.left -= 1

    async def __aexit__(self, kind: Any, error: Any, _: Any) -> bool:
        causes = [error]
        while causes[-1] is not None:
            causes.append(causes[-1].__cause__)
        found = any(getattr(one, "sqlstate", None) in TO_REPEAT for one in causes)
        if not (found and self.left):
            return False
        await asyncio.sleep(0.05)
        return True


async def by_a_context(attempt: Any) -> Any:
    conflict = _Conflict()
    while True:
        async with conflict:
            return await attempt()


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
    (0, "a placeholder"): with_concat,
    (0, "sql"): part_of_the_query,
    (4, "one driver"): classes_of_asyncpg,
    (4, "wrapped"): not_the_wrapped,
    (4, "everything"): any_error_again,
    (4, "without a pause"): at_once,
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
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    *ANSWERS,
    (0, None, part_and_percent),
    (0, "", only_the_first),
    (4, "one driver", classes_of_psycopg),
    (4, "everything", a_lost_connection_again),
    (4, "", without_end),
    (4, "", none_at_last),
    (4, "", an_error_of_its_own),
    (4, "", only_conflicts),
    (4, "", being_cancelled_is_an_error),
    (4, None, by_recursion),
    (4, None, by_a_context),
)
