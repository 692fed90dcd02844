"""Wrong fixes for exercise 03."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import asyncpg

PRICES = "select price_cents from seats where event_id = $1 and label = any($2)"


async def collects_garbage(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        except BaseException:
            await pool.release(conn)
            raise
        if len(prices) < len(labels):
            del conn
            gc.collect()
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def except_exception(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        except Exception:
            await pool.release(conn)
            raise
        await pool.release(conn)
        return sum(prices) if len(prices) == len(labels) else None

    return quote


async def a_timeout(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire(timeout=0.3)
        prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        if len(prices) < len(labels):
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def a_larger_pool(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=50)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
        if len(prices) < len(labels):
            return None
        await pool.release(conn)
        return sum(prices)

    return quote


async def close_what_is_bad(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        conn = await pool.acquire()
        try:
            prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
            if len(prices) < len(labels):
                raise LookupError
        except LookupError:
            await conn.close()
            return None
        except BaseException:
            await conn.close()
            raise
        await pool.release(conn)
        return sum(prices)

    return quote


TAKE = """update seats set status = 'sold'
    where event_id = 5 and label = any($1) and status = 'free' returning price_cents"""
ORDER = "insert into orders (customer_id, total_cents, basket) values ($1, $2, '{}') returning id"
PAY = "insert into payments (order_id, amount_cents, method) values ($1, $2, $3)"


async def _write(conn: Any, customer_id: int, total: int, method: str) -> int:
    order_id: int = await conn.fetchval(ORDER, customer_id, total)
    await conn.execute(PAY, order_id, total, method)
    return order_id


async def without_acquire(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for no key update", customer_id)
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


async def try_again(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def take_seats(labels: list[str]) -> int:
        for _ in range(3):
            try:
                async with pool.acquire(timeout=0.1) as conn:
                    return sum(row["price_cents"] for row in await conn.fetch(TAKE, labels))
            except TimeoutError:
                continue
        raise TimeoutError

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for no key update", customer_id)
            return await _write(conn, customer_id, await take_seats(labels), method)

    return place_order


async def twice_the_connections(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=8)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("select from customers where id = $1 for no key update", customer_id)
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


async def three_orders_at_a_time(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    three = asyncio.Semaphore(3)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with three, pool.acquire() as conn, conn.transaction():
            total = sum(row["price_cents"] for row in await pool.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


MAP = "select label, status from seats where event_id = $1"
REPORT = "select * from sales_report()"


async def a_timeout_of_the_query(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    reports = asyncio.Semaphore(2)

    async def seat_map(event_id: int) -> Any:
        try:
            return await pool.fetch(MAP, event_id, timeout=0.3)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        async with reports:
            return await pool.fetch(REPORT)

    return seat_map, report


async def fail_fast_alone(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        return await pool.fetch(REPORT)

    return seat_map, report


async def no_queue_at_all(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    reports, inside = asyncio.Semaphore(2), asyncio.Semaphore(4)

    async def seat_map(event_id: int) -> Any:
        if inside.locked():
            return "busy"
        async with inside:
            return await pool.fetch(MAP, event_id)

    async def report() -> Any:
        async with reports:
            return await pool.fetch(REPORT)

    return seat_map, report


async def a_limit_for_every_query(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4, command_timeout=0.25)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        return await pool.fetch(REPORT)

    return seat_map, report


async def reports_of_their_own(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    async def report() -> Any:
        conn = await asyncpg.connect(dsn)
        try:
            return await conn.fetch(REPORT)
        finally:
            await conn.close()

    return seat_map, report


async def looks_first(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            free = await conn.fetch(
                "select id, price_cents from seats"
                " where event_id = 5 and label = any($1) and status = 'free'",
                labels,
            )
            if len(free) < len(labels):
                raise LookupError(labels)
            ids = [row["id"] for row in free]
            await conn.execute("update seats set status = 'sold' where id = any($1)", ids)
            return await _write(conn, customer_id, sum(row["price_cents"] for row in free), method)

    return place_order


async def _order(conn: Any, customer_id: int, labels: list[str], method: str) -> int:
    rows = await conn.fetch(TAKE, labels)
    if len(rows) < len(labels):
        raise LookupError(labels)
    return await _write(conn, customer_id, sum(row["price_cents"] for row in rows), method)


async def the_whole_table(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            await conn.execute("lock table seats")
            return await _order(conn, customer_id, labels, method)

    return place_order


async def one_order_at_a_time(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    lock = asyncio.Lock()

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with lock, pool.acquire() as conn, conn.transaction():
            return await _order(conn, customer_id, labels, method)

    return place_order


async def some_of_the_seats(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            total = sum(row["price_cents"] for row in await conn.fetch(TAKE, labels))
            return await _write(conn, customer_id, total, method)

    return place_order


async def undone_by_hand(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn:
            rows = await conn.fetch(TAKE, labels)
            try:
                if len(rows) < len(labels):
                    raise LookupError(labels)
                async with conn.transaction():
                    total = sum(row["price_cents"] for row in rows)
                    return await _write(conn, customer_id, total, method)
            except BaseException:
                await conn.execute(
                    "update seats set status = 'free' where event_id = 5 and label = any($1)"
                    " and status = 'sold'",
                    labels[: len(rows)],
                )
                raise

    return place_order


async def no_price(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def place_order(customer_id: int, labels: list[str], method: str) -> int:
        async with pool.acquire() as conn, conn.transaction():
            if len(await conn.fetch(TAKE, labels)) < len(labels):
                raise LookupError(labels)
            order_id: int = await conn.fetchval(ORDER, customer_id, 0)
            await conn.execute(PAY, order_id, 1, method)
            return order_id

    return place_order


class BoxOffice:
    """A class, and its own kind of error."""

    class NotFree(Exception):
        pass

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def place_order(self, customer_id: int, labels: list[str], method: str) -> int:
        conn = await self._pool.acquire()
        try:
            transaction = conn.transaction()
            await transaction.start()
            try:
                order_id = await self._take(conn, customer_id, labels, method)
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()
            return order_id
        finally:
            await self._pool.release(conn)

    async def _take(self, conn: Any, customer_id: int, labels: list[str], method: str) -> int:
        seats = await conn.fetch(
            "select id, price_cents, status from seats where event_id = 5 and label = any($1)"
            " order by id for no key update",
            labels,
        )
        if {row["status"] for row in seats} != {"free"} or len(seats) < len(labels):
            raise self.NotFree(labels)
        ids = [row["id"] for row in seats]
        await conn.execute("update seats set status = 'sold' where id = any($1)", ids)
        return await _write(conn, customer_id, sum(row["price_cents"] for row in seats), method)


async def a_class(dsn: str) -> Any:
    return BoxOffice(await asyncpg.create_pool(dsn, min_size=1, max_size=4)).place_order


async def a_connection_for_each(dsn: str) -> Any:
    four = asyncio.Semaphore(4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        async with four:
            conn = await asyncpg.connect(dsn)
            try:
                prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
            finally:
                await conn.close()
        return sum(prices) if len(prices) == len(labels) else None

    return quote


async def goes_on_alone(dsn: str) -> Any:
    """The query of a customer who has left keeps its connection."""
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def price(event_id: int, labels: list[str]) -> Any:
        prices = [row["price_cents"] for row in await pool.fetch(PRICES, event_id, labels)]
        return sum(prices) if len(prices) == len(labels) else None

    async def quote(event_id: int, labels: list[str]) -> Any:
        return await asyncio.shield(price(event_id, labels))

    return quote


async def hangs_up(dsn: str) -> Any:
    """Drops the connection of a customer who leaves; the query waits on in PostgreSQL."""
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        async with pool.acquire() as conn:
            try:
                prices = [row["price_cents"] for row in await conn.fetch(PRICES, event_id, labels)]
            except asyncio.CancelledError:
                conn.terminate()
                raise
        return sum(prices) if len(prices) == len(labels) else None

    return quote


async def one_event(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def quote(event_id: int, labels: list[str]) -> Any:
        prices = [row["price_cents"] for row in await pool.fetch(PRICES, 5, labels)]
        return sum(prices) if len(prices) == len(labels) else None

    return quote


async def another_error(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=3)

    async def quote(event_id: int, labels: list[str]) -> Any:
        if not all(isinstance(label, str) for label in labels):
            raise TypeError(f"no labels: {labels}")
        return await pool.fetchval(
            "select case when count(*) = cardinality($2::text[]) then sum(price_cents) end"
            " from seats where event_id = $1 and label = any($2)",
            event_id,
            labels,
        )

    return quote


def _reports(pool: Any) -> Any:
    reports = asyncio.Semaphore(2)

    async def report() -> Any:
        async with reports:
            return await pool.fetch(REPORT)

    return report


async def no_limit_for_the_query(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.3) as conn:
                return await conn.fetch(MAP, event_id)
        except TimeoutError:
            return "busy"

    return seat_map, _reports(pool)


async def two_limits_in_a_row(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        try:
            async with pool.acquire(timeout=0.4) as conn:
                return await conn.fetch(MAP, event_id, timeout=1.5)
        except TimeoutError:
            return "busy"

    return seat_map, _reports(pool)


def _in_time(pool: Any, error: type[Exception] = TimeoutError) -> Any:
    async def seat_map(event_id: int) -> Any:
        try:
            async with asyncio.timeout(0.4):
                return await pool.fetch(MAP, event_id)
        except error:
            return "busy"

    return seat_map


async def every_error_is_busy(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    return _in_time(pool, Exception), _reports(pool)


async def a_map_of_this_morning(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    look, known = _in_time(pool), {}

    async def seat_map(event_id: int) -> Any:
        if event_id not in known and (rows := await look(event_id)) != "busy":
            known[event_id] = rows
        return known.get(event_id, "busy")

    return seat_map, _reports(pool)


async def one_report_for_all(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
    made: list[asyncio.Future[Any]] = []

    async def report() -> Any:
        if not made:
            made.append(asyncio.ensure_future(pool.fetch(REPORT)))
        return await made[0]

    return _in_time(pool), report


async def the_query_goes_on(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def seat_map(event_id: int) -> Any:
        query = asyncio.ensure_future(pool.fetch(MAP, event_id))
        done, _ = await asyncio.wait({query}, timeout=0.4)
        return query.result() if done else "busy"

    return seat_map, _reports(pool)


async def its_own_numbers(dsn: str) -> Any:
    pool = await asyncpg.create_pool(dsn, min_size=4, max_size=4)

    async def report() -> Any:
        return await pool.fetch("select count(*), 0 from orders")

    return _in_time(pool), report


async def two_pools(dsn: str) -> Any:
    front = await asyncpg.create_pool(
        dsn, min_size=1, max_size=3, server_settings={"statement_timeout": "200"}
    )
    back = await asyncpg.create_pool(dsn, min_size=1, max_size=1)

    async def seat_map(event_id: int) -> Any:
        try:
            async with front.acquire(timeout=0.2) as conn:
                return [dict(row) for row in await conn.fetch(MAP, event_id)]
        except (TimeoutError, asyncpg.QueryCanceledError):
            return "busy"

    async def report() -> Any:
        return await back.fetchrow(REPORT)

    return seat_map, report


TRAPS = {
    (1, "path"): collects_garbage,
    (1, "cancelled"): except_exception,
    (1, "timeout"): a_timeout,
    (1, "more"): a_larger_pool,
    (1, "closes"): close_what_is_bad,
    (2, "hold"): without_acquire,
    (2, "gives up"): try_again,
    (2, "more"): twice_the_connections,
    (2, "apart"): three_orders_at_a_time,
    (2, "twice"): looks_first,
    (2, "one by one"): the_whole_table,
    (3, "patient"): a_timeout_of_the_query,
    (3, "starved"): fail_fast_alone,
    (3, "refuses"): no_queue_at_all,
    (3, "killed"): a_limit_for_every_query,
    (3, "more"): reports_of_their_own,
    (3, "query"): no_limit_for_the_query,
    (3, "stale"): a_map_of_this_morning,
    (3, "swallowed"): every_error_is_busy,
}

OTHER_ANSWERS = ((1, "closes", a_connection_for_each),)
MORE_ANSWERS = (
    (1, "cancelled", goes_on_alone),
    (1, "closes", hangs_up),
    (1, "", one_event),
    (1, None, another_error),
    (2, "one by one", one_order_at_a_time),
    (2, "twice", some_of_the_seats),
    (2, "apart", undone_by_hand),
    (2, "", no_price),
    (2, None, a_class),
    (3, "query", two_limits_in_a_row),
    (3, "stale", one_report_for_all),
    (3, "", the_query_goes_on),
    (3, "", its_own_numbers),
    (3, None, two_pools),
)
