"""More answers to exercise 17, written from its statement alone: ANSWERS."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import psycopg
from psycopg.rows import scalar_row

# Task 1

ORDERS = """
    select id, placed_at, basket, (total_cents / 100.0)::numeric(10, 2) as total
    from orders where customer_id = $1::text::int and placed_at >= $2::text::timestamptz
    order by id"""


async def cast_in_sql(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    rows = await conn.fetch(ORDERS, customer, since)
    return [{**row, "basket": json.loads(row["basket"])} for row in rows]


async def asked_first(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    number = await conn.fetchval("select $1::text::int", customer)
    moment = await conn.fetchval("select $1::text::timestamptz", since)
    result = []
    for row in await conn.fetch(
        """select id, placed_at, basket::text, (total_cents / 100.0)::numeric(10, 2) as total
        from orders where customer_id = $1 and placed_at >= $2 order by id""",
        number,
        moment,
    ):
        one = dict(row)
        one["basket"] = json.loads(one["basket"])
        result.append(one)
    return result


class Order(dict[str, Any]):
    @classmethod
    def of(cls, row: Any) -> dict[str, Any]:
        return {
            "id": row[0],
            "placed_at": row[1],
            "basket": None if row[2] is None else json.loads(row[2]),
            "total": row[3],
        }


async def with_a_cursor(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    async with conn.transaction():
        return [Order.of(row) async for row in conn.cursor(ORDERS, customer, since)]


def variant(
    name: str,
    sql: str = ORDERS,
    customer_of: Any = str,
    since_of: Any = str,
    row_of: Any = lambda row: {**row, "basket": json.loads(row["basket"])},
    before: str = "",
    errors: Any = (),
) -> Any:
    async def orders_since(conn: Any, customer: str, since: str) -> Any:
        if before:
            await conn.execute(before)
        try:
            rows = await conn.fetch(sql, customer_of(customer), since_of(since))
        except errors:
            return []
        return [row_of(row) for row in rows]

    orders_since.__name__ = name
    return orders_since


TYPED = ORDERS.replace("::text::int", "").replace("::text::timestamptz", "")


def in_utc(since: str) -> datetime:
    moment = datetime.fromisoformat(since)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


number_by_python = variant(
    "number_by_python", ORDERS.replace("$1::text::int", "$1"), customer_of=int
)
moment_by_python = variant(
    "moment_by_python", TYPED.replace("= $1", "= $1::text::int"), since_of=datetime.fromisoformat
)
without_a_zone_is_utc = variant("without_a_zone_is_utc", TYPED, customer_of=int, since_of=in_utc)
records = variant("records", row_of=lambda row: row)
basket_as_text = variant("basket_as_text", row_of=dict)
total_as_float = variant(
    "total_as_float",
    row_of=lambda row: {**row, "basket": json.loads(row["basket"]), "total": float(row["total"])},
)
total_in_python = variant(
    "total_in_python",
    ORDERS.replace("(total_cents / 100.0)::numeric(10, 2)", "total_cents"),
    row_of=lambda row: {
        **row,
        "basket": json.loads(row["basket"]),
        "total": Decimal(row["total"]) / 100,
    },
)
moment_as_text = variant(
    "moment_as_text",
    row_of=lambda row: {
        **row,
        "basket": json.loads(row["basket"]),
        "placed_at": row["placed_at"].isoformat(),
    },
)
nothing_for_nonsense = variant("nothing_for_nonsense", errors=(asyncpg.DataError, ValueError))
larger_numbers = variant("larger_numbers", ORDERS.replace("::text::int", "::text::bigint"))
compared_as_text = variant(
    "compared_as_text", ORDERS.replace("customer_id = $1::text::int", "customer_id::text = $1")
)
later_only = variant("later_only", ORDERS.replace(">=", ">"))
newest_first = variant("newest_first", ORDERS.replace("order by id", "order by placed_at desc"))
without_a_zone = variant("without_a_zone", ORDERS.replace("timestamptz", "timestamp"))
zone_for_everybody = variant("zone_for_everybody", before="set timezone = 'UTC'")
only_a_date = variant("only_a_date", ORDERS.replace("$2::text::timestamptz", "$2::text::date"))


async def codec_for_everybody(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    return [dict(row) for row in await conn.fetch(ORDERS, customer, since)]


async def codec_until_an_error(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    rows = await conn.fetch(ORDERS, customer, since)
    await conn.reset_type_codec("jsonb", schema="pg_catalog")
    return [dict(row) for row in rows]


async def written_into_the_sql(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    rows = await conn.fetch(
        ORDERS.replace("$1::text", f"'{customer}'").replace("$2::text", f"'{since}'")
    )
    return [{**row, "basket": json.loads(row["basket"])} for row in rows]


# Task 2

UPDATE = """
    update seats set status = 'sold'
    where event_id = $1 and label = $2 and status = 'free' returning price_cents"""
INSERT = "insert into orders (customer_id, total_cents, basket) values ($1, $2, $3) returning id"
AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


async def first_order(conn: Any, customer: int, order: int) -> None:
    with contextlib.suppress(asyncpg.UniqueViolationError):
        async with conn.transaction():
            await conn.execute("insert into first_orders values ($1, $2)", customer, order)


async def once(
    conn: Any, customer: int, event: int, seat: str, limit: str = "set local lock_timeout = '500ms'"
) -> Any:
    """One attempt."""
    async with conn.transaction():
        await conn.execute(limit)
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
        await first_order(conn, customer, order)
        return order


async def three_attempts(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn:
        for attempt in range(3):
            try:
                return await once(conn, customer, event, seat)
            except AGAIN:
                if attempt == 2:
                    raise
    return None


def tried(times: int, *errors: type[BaseException]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*arguments: Any) -> Any:
            for _ in range(times - 1):
                with contextlib.suppress(*errors):
                    return await function(*arguments)
            return await function(*arguments)

        return wrapper

    return decorate


class Sale:
    def __init__(self, conn: Any, customer: int, event: int, seat: str) -> None:
        self.conn, self.customer, self.event, self.seat = conn, customer, event, seat

    @tried(3, *AGAIN)
    async def make(self) -> Any:
        transaction = self.conn.transaction()
        await transaction.start()
        try:
            order = await self.statements()
        except BaseException:
            await transaction.rollback()
            raise
        await transaction.commit()
        return order

    async def statements(self) -> Any:
        await self.conn.execute("select set_config('lock_timeout', '500ms', true)")
        return await self.conn.fetchval(
            """
            with sold as (
                update seats set status = 'sold'
                where event_id = $2 and label = $3 and status = 'free' returning price_cents),
            placed as (
                insert into orders (customer_id, total_cents, basket)
                select $1, price_cents,
                    jsonb_build_object('event', $2::int, 'seats', jsonb_build_array($3::text))
                from sold returning id, customer_id),
            first as (
                insert into first_orders select customer_id, id from placed on conflict do nothing)
            select id from placed""",
            self.customer,
            self.event,
            self.seat,
        )


async def class_and_one_statement(pool: Any, customer: int, event: int, seat: str) -> Any:
    conn = await pool.acquire(timeout=1)
    try:
        return await Sale(conn, customer, event, seat).make()
    finally:
        await pool.release(conn)


async def recursive(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with asyncio.timeout(1):
        conn = await pool.acquire()

    async def attempt(left: int) -> Any:
        try:
            return await once(conn, customer, event, seat)
        except AGAIN:
            if not left:
                raise
        return await attempt(left - 1)

    try:
        return await attempt(2)
    finally:
        await pool.release(conn)


def selling(
    name: str,
    one: Any = once,
    again: Any = AGAIN,
    times: int = 3,
    wait: float | None = 1,
    at_last: str = "raise",
    limit: str = "set local lock_timeout = '500ms'",
) -> Any:
    async def sell(pool: Any, customer: int, event: int, seat: str) -> Any:
        async with pool.acquire(timeout=wait) as conn:
            for attempt in range(times):
                try:
                    return await one(conn, customer, event, seat, limit)
                except again:
                    if attempt == times - 1 and at_last == "raise":
                        raise
        return None

    sell.__name__ = name
    return sell


async def without_a_savepoint(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    async with conn.transaction():
        await conn.execute(limit)
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
        with contextlib.suppress(asyncpg.UniqueViolationError):
            await conn.execute("insert into first_orders values ($1, $2)", customer, order)
        return order


async def text_in_json(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    async with conn.transaction():
        await conn.execute(limit)
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps(json.dumps({"event": event, "seats": [seat]}))
        order = await conn.fetchval(INSERT, customer, price, basket)
        await first_order(conn, customer, order)
        return order


async def looks_then_sells(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    async with conn.transaction():
        await conn.execute(limit)
        row = await conn.fetchrow(
            "select status, price_cents from seats where event_id = $1 and label = $2", event, seat
        )
        if row is None or row["status"] != "free":
            return None
        await conn.execute(
            "update seats set status = 'sold' where event_id = $1 and label = $2", event, seat
        )
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, row["price_cents"], basket)
        await first_order(conn, customer, order)
        return order


async def in_autocommit(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    await conn.execute("set lock_timeout = '500ms'")
    try:
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
        await first_order(conn, customer, order)
        return order
    finally:
        await conn.execute("reset lock_timeout")


async def any_error_of_the_first(
    conn: Any, customer: int, event: int, seat: str, limit: str
) -> Any:
    async with conn.transaction():
        await conn.execute(limit)
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
        with contextlib.suppress(asyncpg.PostgresError):
            async with conn.transaction():
                await conn.execute("insert into first_orders values ($1, $2)", customer, order)
        return order


async def first_afterwards(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    async with conn.transaction():
        await conn.execute(limit)
        price = await conn.fetchval(UPDATE, event, seat)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
    with contextlib.suppress(asyncpg.UniqueViolationError):
        await conn.execute("insert into first_orders values ($1, $2)", customer, order)
    return order


async def with_a_client_timeout(conn: Any, customer: int, event: int, seat: str, limit: str) -> Any:
    async with conn.transaction():
        price = await conn.fetchval(UPDATE, event, seat, timeout=0.5)
        if price is None:
            return None
        basket = json.dumps({"event": event, "seats": [seat]})
        order = await conn.fetchval(INSERT, customer, price, basket)
        await first_order(conn, customer, order)
        return order


waits_for_ever = selling("waits_for_ever", wait=None)
waits_five_seconds = selling("waits_five_seconds", wait=5)
no_savepoint = selling("no_savepoint", without_a_savepoint)
a_text_in_the_basket = selling("a_text_in_the_basket", text_in_json)
look_then_sell = selling("look_then_sell", looks_then_sells)
three_transactions = selling("three_transactions", in_autocommit)
whatever_the_first_says = selling("whatever_the_first_says", any_error_of_the_first)
first_order_afterwards = selling("first_order_afterwards", first_afterwards)
client_timeout = selling("client_timeout", with_a_client_timeout)
every_error_again = selling("every_error_again", again=asyncpg.PostgresError)
locks_again = selling("locks_again", again=(*AGAIN, asyncpg.LockNotAvailableError))
rollbacks_again = selling("rollbacks_again", again=asyncpg.TransactionRollbackError)
only_serialization = selling("only_serialization", again=asyncpg.SerializationError)
twice = selling("twice", times=2)
four_times = selling("four_times", times=4)
not_sold_at_last = selling("not_sold_at_last", at_last="none")
limit_for_the_session = selling("limit_for_the_session", limit="set lock_timeout = '500ms'")
limit_of_statements = selling("limit_of_statements", limit="set local statement_timeout = '500ms'")
no_limit = selling("no_limit", limit="select 1")
longer_limit = selling("longer_limit", limit="set local lock_timeout = '5s'")


async def one_second_for_all(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with asyncio.timeout(1):
        return await three_attempts(pool, customer, event, seat)


async def a_second_each(pool: Any, customer: int, event: int, seat: str) -> Any:
    for attempt in range(3):
        try:
            async with pool.acquire(timeout=1) as conn:
                return await once(conn, customer, event, seat)
        except AGAIN:
            if attempt == 2:
                raise
    return None


async def released_unless_cancelled(pool: Any, customer: int, event: int, seat: str) -> Any:
    conn = await pool.acquire(timeout=1)
    try:
        result = await selling("inner", wait=None)(_One(conn), customer, event, seat)
    except Exception:
        await pool.release(conn)
        raise
    await pool.release(conn)
    return result


class _One:
    """A pool of one connection that is never given back."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn

    @contextlib.asynccontextmanager
    async def acquire(self, timeout: float | None = None) -> Any:
        yield self.conn


async def no_connection_is_no_seat(pool: Any, customer: int, event: int, seat: str) -> Any:
    try:
        return await three_attempts(pool, customer, event, seat)
    except TimeoutError:
        return None


async def attempts_in_one_transaction(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn, conn.transaction():
        for attempt in range(3):
            try:
                return await once(conn, customer, event, seat)
            except AGAIN:
                if attempt == 2:
                    raise
    return None


async def on_a_connection_each(pool: Any, customer: int, event: int, seat: str) -> Any:
    async with pool.acquire(timeout=1) as conn:
        for attempt in range(3):
            try:
                async with conn.transaction():
                    await conn.execute("set local lock_timeout = '500ms'")
                    price = await conn.fetchval(UPDATE, event, seat)
                    if price is None:
                        return None
                    basket = json.dumps({"event": event, "seats": [seat]})
                    order = await conn.fetchval(INSERT, customer, price, basket)
                with contextlib.suppress(asyncpg.UniqueViolationError):
                    await pool.execute("insert into first_orders values ($1, $2)", customer, order)
                return order
            except AGAIN:
                if attempt == 2:
                    raise
    return None


# Task 3

PRICE = """
    update seats set price_cents = %(cents)s
    where event_id = %(event)s and label = %(label)s and price_cents <> %(cents)s"""


async def not_prepared(dsn: str, event: int, prices: Any) -> int:
    changed = 0
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn:
        for label, cents in prices:
            cursor = await conn.execute(PRICE, {"cents": cents, "event": event, "label": label})
            changed += cursor.rowcount
    return changed


async def never_prepare(dsn: str, event: int, prices: Any) -> int:
    conn = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
    try:
        async with conn.transaction(), conn.cursor() as cursor:
            changed = 0
            for label, cents in prices:
                await cursor.execute(
                    PRICE, {"cents": cents, "event": event, "label": label}, prepare=False
                )
                changed += cursor.rowcount
            return changed
    finally:
        await conn.close()


async def many_at_once(dsn: str, event: int, prices: Any) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn:
        cursor = conn.cursor()
        if not prices:
            return 0
        await cursor.executemany(
            PRICE, [{"cents": cents, "event": event, "label": label} for label, cents in prices]
        )
        return cursor.rowcount


async def client_cursor(dsn: str, event: int, prices: Any) -> int:
    async with await psycopg.AsyncConnection.connect(
        dsn, cursor_factory=psycopg.AsyncClientCursor
    ) as conn:
        changed = 0
        for label, cents in prices:
            cursor = await conn.execute(PRICE, {"cents": cents, "event": event, "label": label})
            changed += cursor.rowcount
        return changed


def importing(
    name: str,
    options: Any = None,
    commits: bool = True,
    closes: bool = True,
    sql: str = PRICE,
    count: Any = None,
    errors: Any = (),
    first: str = "",
    last: str = "",
    prices_of: Any = list,
) -> Any:
    async def import_prices(dsn: str, event: int, prices: Any) -> Any:
        conn: Any = await psycopg.AsyncConnection.connect(
            dsn, **({"prepare_threshold": None} if options is None else options)
        )
        changed = 0
        try:
            if first:
                await conn.execute(first)
            for label, cents in prices_of(prices):
                try:
                    cursor = await conn.execute(
                        sql, {"cents": cents, "event": event, "label": label}
                    )
                    changed += cursor.rowcount
                except errors:
                    await conn.rollback()
            if last:
                await conn.execute(last)
            if commits:
                await conn.commit()
        finally:
            if closes:
                await conn.close()
            else:
                KEPT.append(conn)
        return len(prices) if count else changed

    import_prices.__name__ = name
    return import_prices


KEPT: list[Any] = []
prepared_by_default = importing("prepared_by_default", {})
prepared_at_once = importing("prepared_at_once", {"prepare_threshold": 0})
prepared_later = importing("prepared_later", {"prepare_threshold": 50})
each_for_itself = importing("each_for_itself", {"autocommit": True, "prepare_threshold": None})
never_committed = importing("never_committed", commits=False)
never_closed = importing("never_closed", closes=False)
counts_all_prices = importing("counts_all_prices", count=len)
counts_every_seat = importing(
    "counts_every_seat", sql=PRICE.replace(" and price_cents <> %(cents)s", "")
)
every_event = importing("every_event", sql=PRICE.replace("event_id = %(event)s and", ""))
leaves_out_the_wrong_ones = importing("leaves_out_the_wrong_ones", errors=psycopg.Error)
deallocates_all = importing("deallocates_all", {}, first="deallocate all", last="deallocate all")
sets_for_the_session = importing("sets_for_the_session", first="set lock_timeout = '5s'")
first_price_counts = importing(
    "first_price_counts", prices_of=lambda prices: dict(reversed(prices)).items()
)
locks_the_table = importing("locks_the_table", first="lock table seats in exclusive mode")


async def temporary_table(dsn: str, event: int, prices: Any) -> int:
    """Leaves its table on PgBouncer's server connection."""
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn:
        await conn.execute(
            "create temporary table prices (at int generated always as identity, label text, "
            "cents int)"
        )
        async with conn.cursor() as cursor:
            async with cursor.copy("copy prices (label, cents) from stdin") as copy:
                for price in prices:
                    await copy.write_row(price)
            await cursor.execute(
                """update seats s set price_cents = p.cents
                from (select distinct on (label) label, cents from prices
                      order by label, at desc) p
                where s.event_id = %s and s.label = p.label and s.price_cents <> p.cents""",
                (event,),
            )
            return cursor.rowcount


async def unnested_without_order(dsn: str, event: int, prices: Any) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn:
        cursor = await conn.execute(
            """update seats s set price_cents = p.cents
            from unnest(%s::text[], %s::int[]) p (label, cents)
            where s.event_id = %s and s.label = p.label and s.price_cents <> p.cents""",
            ([label for label, _ in prices], [cents for _, cents in prices], event),
        )
        return cursor.rowcount


async def one_by_one_in_python(dsn: str, event: int, prices: Any) -> int:
    """Looks, then writes: the original does not see either what others have not committed."""
    changed = 0
    async with await psycopg.AsyncConnection.connect(
        dsn, prepare_threshold=None, row_factory=scalar_row
    ) as conn:
        for label, cents in prices:
            cursor = await conn.execute(
                "select price_cents from seats where event_id = %s and label = %s", (event, label)
            )
            if (now := await cursor.fetchone()) is not None and now != cents:
                await conn.execute(
                    "update seats set price_cents = %s where event_id = %s and label = %s",
                    (cents, event, label),
                )
                changed += 1
    return changed


async def another_error(dsn: str, event: int, prices: Any) -> int:
    try:
        return await not_prepared(dsn, event, prices)
    except psycopg.Error as error:
        raise RuntimeError("the prices were not imported") from error


async def with_asyncpg_still(dsn: str, event: int, prices: Any) -> int:
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        async with conn.transaction():
            changed = 0
            for label, cents in prices:
                status = await conn.execute(
                    "update seats set price_cents = $3 "
                    "where event_id = $1 and label = $2 and price_cents <> $3",
                    event,
                    label,
                    cents,
                )
                changed += int(status.split()[-1])
        return changed
    finally:
        await conn.close()


async def without_waiting(dsn: str, event: int, prices: Any) -> int:
    """Synchronous: the whole program stands still meanwhile."""
    with psycopg.connect(dsn, prepare_threshold=None) as conn:
        changed = 0
        for label, cents in prices:
            changed += conn.execute(
                PRICE, {"cents": cents, "event": event, "label": label}
            ).rowcount
        return changed


ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, cast_in_sql),
    (1, None, asked_first),
    (1, None, with_a_cursor),
    (1, None, number_by_python),
    (1, "zone", moment_by_python),
    (1, "zone", without_a_zone_is_utc),
    (1, "records", records),
    (1, "text", basket_as_text),
    (1, "", total_as_float),
    (1, "", total_in_python),
    (1, "", moment_as_text),
    (1, "", nothing_for_nonsense),
    (1, "", larger_numbers),
    (1, "", compared_as_text),
    (1, "", later_only),
    (1, "", newest_first),
    (1, "", without_a_zone),
    (1, "zone", zone_for_everybody),
    (1, "", only_a_date),
    (1, "for everybody", codec_for_everybody),
    (1, "for everybody", codec_until_an_error),
    (1, "sql", written_into_the_sql),
    (2, None, three_attempts),
    (2, None, class_and_one_statement),
    (2, None, recursive),
    (2, "forever", waits_for_ever),
    (2, "forever", waits_five_seconds),
    (2, "swallowed", no_savepoint),
    (2, "", a_text_in_the_basket),
    (2, "", look_then_sell),
    (2, "half", three_transactions),
    (2, "", whatever_the_first_says),
    (2, "", first_order_afterwards),
    (2, "", client_timeout),
    (2, "", every_error_again),
    (2, "", locks_again),
    (2, "", rollbacks_again),
    (2, "", only_serialization),
    (2, "", twice),
    (2, "", four_times),
    (2, "", not_sold_at_last),
    (2, None, limit_for_the_session),
    (2, "", limit_of_statements),
    (2, "no limit", no_limit),
    (2, "no limit", longer_limit),
    (2, "", one_second_for_all),
    (2, "", a_second_each),
    (2, "leak", released_unless_cancelled),
    (2, "", no_connection_is_no_seat),
    (2, "inside", attempts_in_one_transaction),
    (2, "", on_a_connection_each),
    (3, None, not_prepared),
    (3, None, never_prepare),
    (3, None, many_at_once),
    (3, None, client_cursor),
    (3, "prepared", prepared_by_default),
    (3, "prepared", prepared_at_once),
    (3, "half", each_for_itself),
    (3, "not committed", never_committed),
    (3, "left open", never_closed),
    (3, "", counts_all_prices),
    (3, "", counts_every_seat),
    (3, "", every_event),
    (3, "half", leaves_out_the_wrong_ones),
    (3, "others", deallocates_all),
    (3, "", sets_for_the_session),
    (3, "", first_price_counts),
    (3, "", locks_the_table),
    (3, "prepared", prepared_later),
    (3, "", temporary_table),
    (3, "", unnested_without_order),
    (3, None, one_by_one_in_python),
    (3, "", another_error),
    (3, "", with_asyncpg_still),
    (3, "", without_waiting),
)
