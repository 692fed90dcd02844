"""Wrong fixes for exercise 09."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

Sale = tuple[str, Any, str]
OF_A_ROW = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)


class SeatTaken(Exception):
    pass


OF_A_SALE = (SeatTaken, *OF_A_ROW)


async def take(conn: Any, seat: str, customer: Any) -> tuple[int, int]:
    price = await conn.fetchval(
        """
        update seats set status = 'sold'
        where event_id = 5 and label = $1 and status = 'free' returning price_cents""",
        seat,
    )
    if price is None:
        raise SeatTaken(f"seat {seat} is not free")
    order = await conn.fetchval(
        """
        insert into orders (customer_id, total_cents, basket)
        values ($1, $2, jsonb_build_object('event', 5, 'seats', array[$3::text])) returning id""",
        customer,
        price,
        seat,
    )
    return order, price


async def pay(conn: Any, order: int, price: int, method: str) -> None:
    await conn.execute(
        "insert into payments (order_id, amount_cents, method) values ($1, $2, $3)",
        order,
        price,
        method,
    )


async def sell(conn: Any, seat: str, customer: Any, method: str) -> None:
    await pay(conn, *await take(conn, seat, customer), method)


# Task 1


async def caught_and_gone_on(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            try:
                await sell(conn, *sale)
            except (SeatTaken, asyncpg.PostgresError) as error:
                refused.append((number, str(error)))
    return refused


async def try_inside(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            async with conn.transaction():
                try:
                    await sell(conn, *sale)
                except OF_A_SALE as error:
                    refused.append((number, str(error)))
    return refused


async def savepoint_for_each_statement(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, (seat, customer, method) in enumerate(sales):
            try:
                async with conn.transaction():
                    order, price = await take(conn, seat, customer)
                async with conn.transaction():
                    await pay(conn, order, price, method)
            except OF_A_SALE as error:
                refused.append((number, str(error)))
    return refused


async def one_by_one(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    for number, sale in enumerate(sales):
        try:
            async with conn.transaction():
                await sell(conn, *sale)
        except OF_A_SALE as error:
            refused.append((number, str(error)))
    return refused


async def whatever_it_is(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            try:
                async with conn.transaction():
                    await sell(conn, *sale)
            except BaseException as error:
                refused.append((number, str(error)))
    return refused


async def any_error_of_postgresql(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            try:
                async with conn.transaction():
                    await sell(conn, *sale)
            except (SeatTaken, asyncpg.PostgresError) as error:
                refused.append((number, str(error)))
    return refused


async def any_error_but_a_query_that_was_ended(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            try:
                async with conn.transaction():
                    await sell(conn, *sale)
            except asyncpg.QueryCanceledError:
                raise
            except Exception as error:
                refused.append((number, str(error)))
    return refused


async def by_hand(conn: Any, sales: Sequence[Sale]) -> Any:
    refused = []
    async with conn.transaction():
        for number, sale in enumerate(sales):
            await conn.execute("savepoint sale")
            try:
                await sell(conn, *sale)
            except OF_A_SALE as error:
                await conn.execute("rollback to sale")
                refused.append((number, str(error)))
            await conn.execute("release sale")
    return refused


# Task 2


async def added(
    conn: Any, customer: int, order: int, add_points: Any, caught: type[BaseException] = Exception
) -> bool:
    try:
        async with conn.transaction():
            await add_points(conn, customer, order)
    except caught:
        return False
    return True


async def no_savepoint(conn: Any, customer: int, seat: str, method: str, add_points: Any) -> Any:
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        await pay(conn, order, price, method)
        try:
            await add_points(conn, customer, order)
        except Exception:
            return order, False
    return order, True


async def only_errors_of_postgresql(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    has_points = True
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        savepoint = conn.transaction()
        await savepoint.start()
        try:
            await add_points(conn, customer, order)
        except (asyncpg.PostgresError, TimeoutError):
            await savepoint.rollback()
            has_points = False
        except Exception:
            await savepoint.commit()
            has_points = False
        else:
            await savepoint.commit()
        await pay(conn, order, price, method)
    return order, has_points


async def payment_in_the_savepoint(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    has_points = False
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        try:
            async with conn.transaction():
                await pay(conn, order, price, method)
                has_points = await added(conn, customer, order, add_points)
        except Exception:
            return order, False
    return order, has_points


async def points_afterwards(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        await pay(conn, order, price, method)
    return order, await added(conn, customer, order, add_points)


async def cancellation_is_a_failure(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        has_points = await added(conn, customer, order, add_points, BaseException)
        await pay(conn, order, price, method)
    return order, has_points


async def points_last(conn: Any, customer: int, seat: str, method: str, add_points: Any) -> Any:
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        await pay(conn, order, price, method)
        return order, await added(conn, customer, order, add_points)


async def a_taken_seat_is_sold_without_points(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    try:
        return await points_last(conn, customer, seat, method, add_points)
    except SeatTaken:
        return None, False


# Task 3

INSERT = "insert into vouchers (code, order_id, cents) values ($1, $2, $3)"
BROKEN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


async def halves(
    conn: Any, vouchers: Sequence[Any], numbers: range, errors: Any = OF_A_ROW
) -> list[int]:
    try:
        async with conn.transaction():
            await conn.executemany(INSERT, [vouchers[number] for number in numbers])
    except errors:
        half = len(numbers) // 2
        return (
            [*numbers]
            if not half
            else [
                *await halves(conn, vouchers, numbers[:half], errors),
                *await halves(conn, vouchers, numbers[half:], errors),
            ]
        )
    return []


def chunks(vouchers: Sequence[Any]) -> list[range]:
    return [range(len(vouchers))[start : start + 100] for start in range(0, len(vouchers), 100)]


async def again(action: Callable[[], Any]) -> Any:
    for _ in range(4):
        try:
            return await action()
        except BROKEN:
            await asyncio.sleep(0.05)
    return await action()


async def without_an_end(pool: Any, vouchers: Sequence[Any]) -> Any:
    while True:
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await in_chunks(conn, vouchers)
        except BROKEN:
            await asyncio.sleep(0.05)


async def in_chunks(conn: Any, vouchers: Sequence[Any]) -> list[int]:
    refused = []
    for chunk in chunks(vouchers):
        async with conn.transaction():
            refused += await halves(conn, vouchers, chunk)
    return refused


async def six_attempts(pool: Any, vouchers: Sequence[Any]) -> Any:
    for attempt in range(6):
        try:
            async with pool.acquire() as conn, conn.transaction():
                return await in_chunks(conn, vouchers)
        except BROKEN:
            if attempt == 5:
                raise
            await asyncio.sleep(0.05)
    return None


async def any_error_but_a_deadlock(pool: Any, vouchers: Sequence[Any]) -> Any:
    async def stored(conn: Any, numbers: range) -> list[int]:
        try:
            async with conn.transaction():
                await conn.executemany(INSERT, [vouchers[number] for number in numbers])
        except (asyncpg.DeadlockDetectedError, asyncpg.QueryCanceledError):
            raise
        except Exception:
            half = len(numbers) // 2
            return (
                [*numbers]
                if not half
                else [*await stored(conn, numbers[:half]), *await stored(conn, numbers[half:])]
            )
        return []

    async def once() -> list[int]:
        refused = []
        async with pool.acquire() as conn, conn.transaction():
            for chunk in chunks(vouchers):
                async with conn.transaction():
                    refused += await stored(conn, chunk)
        return refused

    return await again(once)


async def row_by_row(pool: Any, vouchers: Sequence[Any]) -> Any:
    async def once() -> list[int]:
        refused = []
        async with pool.acquire() as conn, conn.transaction():
            for chunk in chunks(vouchers):
                async with conn.transaction():
                    for number in chunk:
                        try:
                            async with conn.transaction():
                                await conn.execute(INSERT, *vouchers[number])
                        except OF_A_ROW:
                            refused.append(number)
        return refused

    return await again(once)


async def halves_that_stay(pool: Any, vouchers: Sequence[Any]) -> Any:
    async def once() -> list[int]:
        async with pool.acquire() as conn, conn.transaction():
            return [
                number
                for chunk in chunks(vouchers)
                for number in await halves(conn, vouchers, chunk)
            ]

    return await again(once)


async def any_error_is_the_row_s(pool: Any, vouchers: Sequence[Any]) -> Any:
    refused = []
    async with pool.acquire() as conn, conn.transaction():
        for chunk in chunks(vouchers):
            async with conn.transaction():
                refused += await halves(conn, vouchers, chunk, asyncpg.PostgresError)
    return refused


async def refused_outside_of_the_attempt(pool: Any, vouchers: Sequence[Any]) -> Any:
    refused: list[int] = []

    async def once() -> None:
        async with pool.acquire() as conn, conn.transaction():
            for chunk in chunks(vouchers):
                async with conn.transaction():
                    refused.extend(await halves(conn, vouchers, chunk))

    await again(once)
    return refused


async def chunk_again(pool: Any, vouchers: Sequence[Any]) -> Any:
    refused = []
    async with pool.acquire() as conn, conn.transaction():
        for chunk in chunks(vouchers):

            async def once(chunk: range = chunk) -> list[int]:
                async with conn.transaction():
                    return await halves(conn, vouchers, chunk)

            refused += await again(once)
    return refused


async def again_in_the_aborted_block(pool: Any, vouchers: Sequence[Any]) -> Any:
    async def stored(conn: Any, numbers: range) -> list[int]:
        try:
            async with conn.transaction():

                async def once() -> list[int]:
                    await conn.executemany(INSERT, [vouchers[number] for number in numbers])
                    return []

                empty: list[int] = await again(once)
                return empty
        except OF_A_ROW:
            half = len(numbers) // 2
            return (
                [*numbers]
                if not half
                else [*await stored(conn, numbers[:half]), *await stored(conn, numbers[half:])]
            )

    refused = []
    async with pool.acquire() as conn, conn.transaction():
        for chunk in chunks(vouchers):
            async with conn.transaction():
                refused += await stored(conn, chunk)
    return refused


async def a_transaction_for_each_chunk(pool: Any, vouchers: Sequence[Any]) -> Any:
    refused = []
    for chunk in chunks(vouchers):

        async def once(chunk: range = chunk) -> list[int]:
            async with pool.acquire() as conn, conn.transaction():
                return await halves(conn, vouchers, chunk)

        refused += await again(once)
    return refused


async def in_sql(pool: Any, vouchers: Sequence[Any]) -> Any:
    """PostgreSQL is asked for what is good, and no row fails."""
    seen: set[str] = set()
    good = []
    for number, (code, order, cents) in enumerate(vouchers):
        if code and isinstance(cents, int) and 0 < cents < 2**31 and code not in seen:
            seen.add(code)
            good.append((number, code, order, cents))

    async def once() -> list[int]:
        async with pool.acquire() as conn, conn.transaction():
            stored = await conn.fetch(
                """
                insert into vouchers (code, order_id, cents)
                select code, order_id, cents
                from unnest($1::text[], $2::int[], $3::int[]) new (code, order_id, cents)
                where exists (select from orders where id = order_id)
                on conflict do nothing returning code""",
                *[list(part) for part in list(zip(*good, strict=True))[1:]],
            )
            codes = {row["code"] for row in stored}
            kept = {number for number, code, *_ in good if code in codes}
            return [number for number in range(len(vouchers)) if number not in kept]

    return await again(once)


async def the_errors_that_are_known(
    conn: Any, customer: int, seat: str, method: str, add_points: Any
) -> Any:
    known: Any = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, RuntimeError)
    async with conn.transaction():
        order, price = await take(conn, seat, customer)
        has_points = await added(conn, customer, order, add_points, known)
        await pay(conn, order, price, method)
    return order, has_points


async def print_it_again(pool: Any, vouchers: Sequence[Any]) -> Any:
    first: dict[Any, int] = {}
    async with pool.acquire() as conn:
        orders = {row["id"] for row in await conn.fetch("select id from orders")}
    for number, (code, order, cents) in enumerate(vouchers):
        if code and order in orders and isinstance(cents, int) and 0 < cents < 2**31:
            first.setdefault(code, number)

    async def once() -> None:
        async with pool.acquire() as conn, conn.transaction():
            await conn.executemany(
                f"{INSERT} on conflict (code) do update set cents = excluded.cents",
                [vouchers[number] for number in first.values()],
            )

    await again(once)
    return sorted(set(range(len(vouchers))) - set(first.values()))


async def make_them_numbers(pool: Any, vouchers: Sequence[Any]) -> Any:
    made = [
        (code, order, int(cents) if isinstance(cents, str) else cents)
        for code, order, cents in vouchers
    ]

    async def once() -> list[int]:
        async with pool.acquire() as conn, conn.transaction():
            return await in_chunks(conn, made)

    return await again(once)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "aborted"): caught_and_gone_on,
    (1, "half"): savepoint_for_each_statement,
    (1, "one by one"): one_by_one,
    (1, "swallowed"): whatever_it_is,
    (2, "lost"): no_savepoint,
    (2, "half points"): only_errors_of_postgresql,
    (2, "half an order"): payment_in_the_savepoint,
    (2, "afterwards"): points_afterwards,
    (2, "swallowed"): cancellation_is_a_failure,
    (3, "row by row"): row_by_row,
    (3, "piled up"): halves_that_stay,
    (3, "blamed"): any_error_is_the_row_s,
    (3, "counted twice"): refused_outside_of_the_attempt,
    (3, "inside"): chunk_again,
    (3, "never gives up"): without_an_end,
    (3, "piece by piece"): a_transaction_for_each_chunk,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "aborted", try_inside),
    (1, "swallowed", any_error_of_postgresql),
    (1, "swallowed", any_error_but_a_query_that_was_ended),
    (1, None, by_hand),
    (2, "", a_taken_seat_is_sold_without_points),
    (2, None, points_last),
    (3, "inside", again_in_the_aborted_block),
    (3, "never gives up", six_attempts),
    (3, None, in_sql),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (2, "", the_errors_that_are_known),
    (3, "blamed", any_error_but_a_deadlock),
    (3, "", print_it_again),
    (3, "", make_them_numbers),
)
