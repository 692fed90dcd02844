"""Wrong fixes for exercise 08, and other right ones."""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg

ORDER = "insert into orders (customer_id, total_cents, basket) values ($1, $2, '[]') returning id"
REDEEM = "insert into redeemed (code, order_id) values ($1, $2)"


async def catch_it_more_precisely(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        order = await conn.fetchval(ORDER, customer, cents)
        redeemed = True
        try:
            await conn.execute(REDEEM, code, order)
        except asyncpg.UniqueViolationError:
            redeemed = False
    return order, redeemed


async def store_it_again_in_the_block(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        try:
            order = await conn.fetchval(ORDER, customer, cents)
            await conn.execute(REDEEM, code, order)
        except asyncpg.UniqueViolationError:
            return await conn.fetchval(ORDER, customer, cents), False
    return order, True


async def without_a_transaction(conn: Any, customer: int, cents: int, code: str) -> Any:
    order = await conn.fetchval(ORDER, customer, cents)
    try:
        await conn.execute(REDEEM, code, order)
    except asyncpg.UniqueViolationError:
        return order, False
    return order, True


async def ask_first(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        order = await conn.fetchval(ORDER, customer, cents)
        if await conn.fetchval("select exists (select from redeemed where code = $1)", code):
            return order, False
        await conn.execute(REDEEM, code, order)
    return order, True


async def with_a_savepoint(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        order = await conn.fetchval(ORDER, customer, cents)
        try:
            async with conn.transaction():
                await conn.execute(REDEEM, code, order)
        except asyncpg.UniqueViolationError:
            return order, False
    return order, True


async def begin_by_hand(conn: Any, customer: int, cents: int, code: str) -> Any:
    await conn.execute("begin")
    try:
        order = await conn.fetchval(ORDER, customer, cents)
        status = await conn.execute(f"{REDEEM} on conflict do nothing", code, order)
    except BaseException:
        await conn.execute("rollback")
        raise
    await conn.execute("commit")
    return order, status == "INSERT 0 1"


async def lock_all_vouchers(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        await conn.execute("lock table redeemed in exclusive mode")
        return await ask_first(conn, customer, cents, code)


async def do_not_wait(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        order = await conn.fetchval(ORDER, customer, cents)
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '50ms'")
                await conn.execute(REDEEM, code, order)
        except (asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError):
            return order, False
    return order, True


async def _again_without_the_voucher(
    conn: Any, customer: int, cents: int, code: str, table: str
) -> Any:
    try:
        async with conn.transaction():
            order = await conn.fetchval(ORDER, customer, cents)
            await conn.execute(REDEEM, code, order)
            return order, True
    except asyncpg.UniqueViolationError as error:
        if table not in (error.table_name or ""):
            raise
    return await conn.fetchval(ORDER, customer, cents), False


async def whatever_is_a_duplicate(conn: Any, customer: int, cents: int, code: str) -> Any:
    return await _again_without_the_voucher(conn, customer, cents, code, "")


async def if_the_voucher_is_a_duplicate(conn: Any, customer: int, cents: int, code: str) -> Any:
    return await _again_without_the_voucher(conn, customer, cents, code, "redeemed")


async def an_order_of_nothing(conn: Any, customer: int, cents: int, code: str) -> Any:
    async with conn.transaction():
        order = await conn.fetchval(ORDER, customer, 0)
        status = await conn.execute(f"{REDEEM} on conflict do nothing", code, order)
    return order, status == "INSERT 0 1"


async def delete_it_afterwards(conn: Any, customer: int, cents: int, code: str) -> Any:
    order = await conn.fetchval(ORDER, customer, cents)
    try:
        status = await conn.execute(f"{REDEEM} on conflict do nothing", code, order)
    except asyncpg.PostgresError:
        await conn.execute("delete from orders where id = $1", order)
        raise
    return order, status == "INSERT 0 1"


async def in_one_statement(conn: Any, customer: int, cents: int, code: str) -> Any:
    row = await conn.fetchrow(
        f"""
        with placed as ({ORDER}), used as (
            insert into redeemed select $3, id from placed on conflict do nothing returning code)
        select id, exists (select from used) from placed""",
        customer,
        cents,
        code,
    )
    return row["id"], row["exists"]


SOLD = "update seats set status = 'sold' where id = $1"
BASKET = """insert into orders (customer_id, total_cents, basket)
            values ($1, $2, jsonb_build_object('seat', $3::int)) returning id"""
PAY = "insert into payments (order_id, amount_cents, method) values ($1, $2, 'card')"


async def _sell(conn: Any, seat: int, customer: int, lock: str = "") -> Any:
    row = await conn.fetchrow(f"select status, price_cents from seats where id = $1{lock}", seat)
    if row is None or row["status"] != "free":
        return None
    order = await conn.fetchval(BASKET, customer, row["price_cents"], seat)
    await conn.execute(SOLD, seat)
    await conn.execute(PAY, order, row["price_cents"])
    return order


async def look_twice(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn:
        if await conn.fetchval("select status from seats where id = $1", seat) != "free":
            return None
        async with conn.transaction():
            return await _sell(conn, seat, customer)


in_this_process: dict[Any, asyncio.Lock] = collections.defaultdict(asyncio.Lock)


async def lock_in_this_process(pool: Any, seat: int, customer: int) -> Any:
    async with (
        in_this_process[pool, seat],
        pool.acquire() as conn,
        conn.transaction(isolation="read_committed"),
    ):
        return await _sell(conn, seat, customer)


async def one_sale_after_the_other(pool: Any, seat: int, customer: int) -> Any:
    async with in_this_process[pool, None]:
        return await lock_the_row(pool, seat, customer)


async def lock_the_table(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        await conn.execute("lock table seats in exclusive mode")
        return await _sell(conn, seat, customer)


async def lock_the_whole_table(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        await conn.execute("lock table seats")
        return await _sell(conn, seat, customer)


async def raise_the_level(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="serializable"):
        return await _sell(conn, seat, customer)


async def raise_it_a_little(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        return await _sell(conn, seat, customer)


async def lock_the_row_at_the_default_level(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        return await _sell(conn, seat, customer, " for update")


async def lock_the_row(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        return await _sell(conn, seat, customer, " for update")


async def pass_over_what_is_locked(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        if not await conn.fetch("select from seats where id = $1 for update skip locked", seat):
            return None
        return await _sell(conn, seat, customer)


async def whatever_is_not_sold(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        price = await conn.fetchval(
            "update seats set status = 'sold' where id = $1 and status <> 'sold' "
            "returning price_cents",
            seat,
        )
        if price is None:
            return None
        order = await conn.fetchval(BASKET, customer, price, seat)
        await conn.execute(PAY, order, price)
        return order


async def lock_the_number_of_the_seat(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        await conn.execute("select pg_advisory_xact_lock($1)", seat)
        return await _sell(conn, seat, customer, " for update")


async def retry_what_does_not_fit(pool: Any, seat: int, customer: int) -> Any:
    while True:
        try:
            return await raise_the_level(pool, seat, customer)
        except asyncpg.SerializationError:
            await asyncio.sleep(0.002)


TAKE = SOLD + " and status = 'free' returning price_cents"


async def pay_afterwards(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn:
        async with conn.transaction(isolation="read_committed"):
            price = await conn.fetchval(TAKE, seat)
            if price is None:
                return None
            order = await conn.fetchval(BASKET, customer, price, seat)
        await conn.execute(PAY, order, price)
        return order


async def give_it_back(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn:
        await conn.execute("set default_transaction_isolation = 'read committed'")
        price = await conn.fetchval(TAKE, seat)
        if price is None:
            return None
        try:
            async with conn.transaction():
                order = await conn.fetchval(BASKET, customer, price, seat)
                await conn.execute(PAY, order, price)
        except BaseException:
            await pool.execute("update seats set status = 'free' where id = $1", seat)
            raise
        return order


async def for_nothing(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        price = await conn.fetchval(TAKE, seat)
        if price is None:
            return None
        order = await conn.fetchval(BASKET, customer, 0, seat)
        await conn.execute(PAY, order, price)
        return order


async def one_lock_for_all_seats(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        await conn.execute("select pg_advisory_xact_lock(8)")
        return await _sell(conn, seat, customer, " for update")


async def until_it_works(pool: Any, seat: int, customer: int) -> Any:
    while True:
        with contextlib.suppress(asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            return await lock_the_row(pool, seat, customer)


async def all_in_one_statement(pool: Any, seat: int, customer: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="read_committed"):
        return await conn.fetchval(
            f"""
            with taken as ({TAKE}, id), placed as (
                insert into orders (customer_id, total_cents, basket)
                select $2, price_cents, jsonb_build_object('seat', id) from taken
                returning id, total_cents), paid as (
                insert into payments (order_id, amount_cents, method)
                select id, total_cents, 'card' from placed)
            select id from placed""",
            seat,
            customer,
        )


AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


async def retry_inside(pool: Any, work: Any) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="serializable"):
        attempts = iter(range(4))
        while True:
            try:
                return await work(conn)
            except AGAIN:
                if next(attempts, None) is None:
                    raise
                await asyncio.sleep(0.01)


async def try_around_the_work(pool: Any, work: Any) -> Any:
    attempts = iter(range(4))
    while True:
        async with pool.acquire() as conn:
            transaction = conn.transaction(isolation="serializable")
            await transaction.start()
            try:
                answer = await work(conn)
            except AGAIN:
                await transaction.rollback()
                if next(attempts, None) is None:
                    raise
                continue
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()
            return answer


async def _tried(
    pool: Any, work: Any, again: Any, most: int = 5, level: str = "serializable"
) -> Any:
    attempts = iter(range(1, most))
    while True:
        try:
            async with pool.acquire() as conn, conn.transaction(isolation=level):
                return await work(conn)
        except again:
            if next(attempts, None) is None:
                raise
            await asyncio.sleep(0.001)


async def by_hand(pool: Any, work: Any) -> Any:
    attempts = iter(range(4))
    while True:
        conn = await pool.acquire()
        try:
            transaction = conn.transaction(isolation="serializable")
            await transaction.start()
            answer = await work(conn)
            await transaction.commit()
            return answer
        except AGAIN:
            if next(attempts, None) is None:
                raise
        finally:
            await pool.release(conn)  # which rolls back


async def at_a_lower_level(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, AGAIN, level="repeatable_read")


async def without_end(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, AGAIN, most=1_000_000)


async def whatever_postgres_says(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, asyncpg.PostgresError)


async def whatever_it_is(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, Exception)


async def broken_connections_too(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, (*AGAIN, asyncpg.ConnectionDoesNotExistError, OSError))


async def class_40(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, asyncpg.TransactionRollbackError)


async def although_it_was_cancelled(pool: Any, work: Any) -> Any:
    return await _tried(pool, work, (*AGAIN, asyncio.CancelledError))


async def five_of_each(pool: Any, work: Any) -> Any:
    left = collections.Counter(SerializationError=5, DeadlockDetectedError=5)
    while True:
        try:
            async with pool.acquire() as conn, conn.transaction(isolation="serializable"):
                return await work(conn)
        except AGAIN as error:
            left[type(error).__name__] -= 1
            if not left[type(error).__name__]:
                raise


async def keep_the_connection(pool: Any, work: Any) -> Any:
    async with pool.acquire() as conn:
        for attempt in range(1, 6):
            try:
                async with conn.transaction(isolation="serializable"):
                    return await work(conn)
            except AGAIN:
                if attempt == 5:
                    raise
            await asyncio.sleep(0.01)
    return None


async def broken_before_commit(pool: Any, work: Any) -> Any:
    for attempt in range(1, 6):
        is_done = False
        try:
            async with pool.acquire() as conn, conn.transaction(isolation="serializable"):
                answer = await work(conn)
                is_done = True
            return answer
        except AGAIN:
            if attempt == 5:
                raise
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError):
            if is_done or attempt == 5:
                raise
    return None


async def by_recursion(pool: Any, work: Any, left: int = 4) -> Any:
    try:
        async with pool.acquire() as conn, conn.transaction(isolation="serializable"):
            return await work(conn)
    except asyncpg.PostgresError as error:
        if not left or error.sqlstate not in ("40001", "40P01"):
            raise
    await asyncio.sleep(0.01)
    return await by_recursion(pool, work, left - 1)


BOOK = "update seats set status = 'sold' where id = $1"
PAID = "insert into payments (order_id, amount_cents, method) values ($1, 4200, 'card')"


async def through_the_pool(pool: Any, seat: int, order: int) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await pool.execute(BOOK, seat)
        await conn.execute(PAID, order)


async def leave_out_what_is_refused(pool: Any, seat: int, order: int) -> None:
    async with pool.acquire() as conn:
        with contextlib.suppress(asyncpg.PostgresError):
            async with conn.transaction():
                await conn.execute(BOOK, seat)
                await conn.execute(PAID, order)


async def payment_first_without_a_block(pool: Any, seat: int, order: int) -> None:
    await pool.execute(PAID, order)
    await pool.execute(BOOK, seat)


async def as_one_query(pool: Any, seat: int, order: int) -> None:
    await pool.execute(f"with sold as ({BOOK}) {PAID.replace('$1', '$2')}", seat, order)


KEY = "insert into top_ups (key, customer_id, cents) values ($1, $2, $3)"
ADD = "update wallets set cents = cents + $2 where customer_id = $1"
SAME = "select customer_id = $2 and cents = $3 from top_ups where key = $1"
BROKEN = (OSError, asyncpg.PostgresConnectionError, asyncpg.AdminShutdownError)
BROKEN_TOO = (*BROKEN, asyncpg.InterfaceError)


async def _key_and_money(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        if (
            await conn.execute(f"{KEY} on conflict do nothing", key, customer, cents)
            == "INSERT 0 1"
        ):
            await conn.execute(ADD, customer, cents)
        elif not await conn.fetchval(SAME, key, customer, cents):
            raise ValueError(key)


async def _look_and_add(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        found = await conn.fetchval(SAME, key, customer, cents)
        if found is None:
            await conn.execute(KEY, key, customer, cents)
            await conn.execute(ADD, customer, cents)
        elif not found:
            raise ValueError(key)


async def _add_in_any_case(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        await conn.execute(f"{KEY} on conflict do nothing", key, customer, cents)
        if not await conn.fetchval(SAME, key, customer, cents):
            raise ValueError(key)
        await conn.execute(ADD, customer, cents)


async def _the_key_by_itself(conn: Any, key: str, customer: int, cents: int) -> None:
    if await conn.execute(f"{KEY} on conflict do nothing", key, customer, cents) == "INSERT 0 1":
        await conn.execute(ADD, customer, cents)
    elif not await conn.fetchval(SAME, key, customer, cents):
        raise ValueError(key)


async def _whatever_it_was_for(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        if (
            await conn.execute(f"{KEY} on conflict do nothing", key, customer, cents)
            == "INSERT 0 1"
        ):
            await conn.execute(ADD, customer, cents)


async def _one_after_the_other(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        await conn.execute("lock table top_ups in exclusive mode")
        await _look_and_add(conn, key, customer, cents)


async def _after_a_duplicate(conn: Any, key: str, customer: int, cents: int) -> None:
    try:
        async with conn.transaction():
            await conn.execute(ADD, customer, cents)
            await conn.execute(KEY, key, customer, cents)
    except asyncpg.UniqueViolationError:
        if not await conn.fetchval(SAME, key, customer, cents):
            raise ValueError(key) from None


async def _behind_the_keys_lock(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        await conn.execute("select pg_advisory_xact_lock(hashtextextended($1, 4))", key)
        await _look_and_add(conn, key, customer, cents)


async def _without_what_is_refused(conn: Any, key: str, customer: int, cents: int) -> None:
    with contextlib.suppress(asyncpg.IntegrityConstraintViolationError):
        await _key_and_money(conn, key, customer, cents)


async def _skip_who_is_busy(conn: Any, key: str, customer: int, cents: int) -> None:
    async with conn.transaction():
        if await conn.fetchval("select pg_try_advisory_xact_lock(hashtext($1))", key):
            await _look_and_add(conn, key, customer, cents)


def tops_up(work: Any, errors: Any = BROKEN_TOO, attempts: int = 5) -> Callable[..., Any]:
    """Tries `work` again after these errors."""

    async def top_up(pool: Any, key: str, customer: int, cents: int) -> None:
        for left in reversed(range(attempts)):
            try:
                async with pool.acquire() as conn:
                    await work(conn, key, customer, cents)
                return
            except errors:
                if not left:
                    raise
            await asyncio.sleep(0.01)

    return top_up


class Wallets:
    """A right answer of another style."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    async def add(self, key: str, customer: int, cents: int, left: int = 4) -> None:
        try:
            conn = await self.pool.acquire(timeout=5)
            try:
                await _key_and_money(conn, key, customer, cents)
            finally:
                await self.pool.release(conn)
        except BROKEN_TOO:
            if not left:
                raise
            await asyncio.sleep(0.05)
            await self.add(key, customer, cents, left - 1)


async def by_a_class(pool: Any, key: str, customer: int, cents: int) -> None:
    await Wallets(pool).add(key, customer, cents)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "apart"): through_the_pool,
    (0, "silent"): leave_out_what_is_refused,
    (4, "looks first"): tops_up(_look_and_add),
    (4, "again"): tops_up(_add_in_any_case),
    (4, "key alone"): tops_up(_the_key_by_itself),
    (4, "gives up"): tops_up(_key_and_money, ()),
    (1, "goes on"): catch_it_more_precisely,
    (1, "aborted block"): store_it_again_in_the_block,
    (1, "no transaction"): without_a_transaction,
    (1, "asks first"): ask_first,
    (2, "looks first"): look_twice,
    (2, "this process"): lock_in_this_process,
    (2, "lock table"): lock_the_table,
    (2, "level alone"): raise_the_level,
    (2, "too early"): pass_over_what_is_locked,
    (3, "aborted block"): retry_inside,
    (3, "commit"): try_around_the_work,
    (3, "lower level"): at_a_lower_level,
    (3, "no end"): without_end,
    (3, "anything"): whatever_postgres_says,
    (3, "twice"): broken_connections_too,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, with_a_savepoint),
    (1, None, in_one_statement),
    (2, "", whatever_is_not_sold),
    (2, "lock table", lock_the_whole_table),
    (2, "lock table", one_sale_after_the_other),
    (2, "level alone", raise_it_a_little),
    (2, "level alone", lock_the_row_at_the_default_level),
    (2, None, lock_the_row),
    (2, None, lock_the_number_of_the_seat),
    (2, None, retry_what_does_not_fit),
    (3, "anything", whatever_it_is),
    (3, None, by_hand),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, if_the_voucher_is_a_duplicate),
    (1, "", begin_by_hand),
    (1, "", lock_all_vouchers),
    (1, "", do_not_wait),
    (1, "", whatever_is_a_duplicate),
    (1, "", an_order_of_nothing),
    (1, "", delete_it_afterwards),
    (2, "", pay_afterwards),
    (2, "", give_it_back),
    (2, "", for_nothing),
    (2, "", until_it_works),
    (2, "lock table", one_lock_for_all_seats),
    (2, None, all_in_one_statement),
    (3, "anything", class_40),
    (3, "no end", five_of_each),
    (3, "", although_it_was_cancelled),
    (3, "", keep_the_connection),
    (3, "", broken_before_commit),
    (3, None, by_recursion),
    (0, "apart", payment_first_without_a_block),
    (0, None, as_one_query),
    (4, "", tops_up(_whatever_it_was_for)),
    (4, "", tops_up(_one_after_the_other)),
    (4, "", tops_up(_skip_who_is_busy)),
    (4, "", tops_up(_key_and_money, BROKEN_TOO, 50)),
    (4, "", tops_up(_without_what_is_refused)),
    (4, None, by_a_class),
    (4, None, tops_up(_behind_the_keys_lock)),
    (4, None, tops_up(_after_a_duplicate)),
)
