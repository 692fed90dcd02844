"""Wrong fixes for exercise 04."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

ORDER = "insert into orders (customer_id, total_cents, basket) values ($1, $2, '[]') returning id"
HOLD = "update seats set status = 'held' where id = $1 and status = 'free' returning id"
FREE = "select count(*) from seats where event_id = $1 and status = 'free'"
SOLD = "select count(*) from seats where event_id = $1 and status = 'sold'"


async def wait_a_little_before_the_retry(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn:
        for seconds in deadlines:
            try:
                async with asyncio.timeout(seconds):
                    async with conn.transaction():
                        return await conn.fetchval(ORDER, customer, cents)
            except TimeoutError:
                await asyncio.sleep(0.05)
    return None


async def rollback_before_the_retry(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn:
        for seconds in deadlines:
            try:
                async with asyncio.timeout(seconds):
                    async with conn.transaction():
                        return await conn.fetchval(ORDER, customer, cents)
            except TimeoutError:
                await conn.execute("rollback")
    return None


async def without_a_transaction(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    for seconds in deadlines:
        async with pool.acquire() as conn:
            order = asyncio.ensure_future(conn.fetchval(ORDER, customer, cents))
            try:
                async with asyncio.timeout(seconds):
                    return await asyncio.shield(order)
            except TimeoutError:
                await order  # or the connection could not be used
    return None


async def one_attempt(pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]) -> Any:
    try:
        async with asyncio.timeout(deadlines[0]):
            async with pool.acquire() as conn, conn.transaction():
                return await conn.fetchval(ORDER, customer, cents)
    except TimeoutError:
        return None


async def without_deadlines(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        return await conn.fetchval(ORDER, customer, cents)


background: set[Any] = set()


async def leave_it_running(pool: Any, seat: int) -> str:
    async def hold() -> str:
        async with pool.acquire() as conn:
            return "held" if await conn.fetchval(HOLD, seat) else "busy"

    task = asyncio.ensure_future(hold())
    background.add(task)
    task.add_done_callback(background.discard)
    try:
        return await asyncio.wait_for(asyncio.shield(task), timeout=0.8)
    except TimeoutError:
        return "busy"


async def limit_the_query(pool: Any, seat: int) -> str:
    async with pool.acquire() as conn:
        try:
            return "held" if await conn.fetchval(HOLD, seat, timeout=0.4) else "busy"
        except TimeoutError:
            return "busy"


async def limit_it_from_outside(pool: Any, seat: int) -> str:
    try:
        async with asyncio.timeout(0.8), pool.acquire() as conn:
            return "held" if await conn.fetchval(HOLD, seat) else "busy"
    except TimeoutError:
        return "busy"


async def limit_each_call(pool: Any, seat: int) -> str:
    try:
        async with pool.acquire(timeout=0.3) as conn:
            return "held" if await conn.fetchval(HOLD, seat, timeout=0.3) else "busy"
    except TimeoutError:
        return "busy"


async def a_connection_for_each(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn:
        return await asyncio.gather(conn.fetchval(FREE, event), pool.fetchval(SOLD, event))


async def one_after_the_other(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn:
        return await conn.fetchval(FREE, event), await conn.fetchval(SOLD, event)


async def the_number_of_an_attempt(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    order = None
    for seconds in deadlines:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), pool.acquire() as conn, conn.transaction():
                order = await conn.fetchval(ORDER, customer, cents)
        if order:
            return order
    return None


async def every_error_is_none(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    for seconds in deadlines:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(seconds):
                async with pool.acquire() as conn, conn.transaction():
                    order = await conn.fetchval(ORDER, customer, cents)
            return order
    return None


async def deaf(pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]) -> Any:
    """Goes on when its customer has left."""
    for seconds in deadlines:
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(seconds):
                async with pool.acquire() as conn, conn.transaction():
                    order = await conn.fetchval(ORDER, customer, cents)
            return order
    return None


async def the_sum_of_the_deadlines(
    pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]
) -> Any:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(sum(deadlines)):
            async with pool.acquire() as conn, conn.transaction():
                order = await conn.fetchval(ORDER, customer, cents)
        return order
    return None


async def a_helper(pool: Any, customer: int, cents: int, deadlines: tuple[float, ...]) -> Any:
    async def attempt() -> Any:
        async with pool.acquire() as conn:
            transaction = conn.transaction()
            await transaction.start()
            try:
                (order,) = await conn.fetchrow(ORDER, customer, cents)
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()
            return order

    for seconds in deadlines:
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(attempt(), seconds)
    return None


def _limits(
    acquire: float,
    work: float,
    *,
    update: str = HOLD,
    busy: type[Exception] = TimeoutError,
    commit_is_limited: bool = True,
) -> Callable[..., Any]:
    async def hold_seat(pool: Any, seat: int) -> str:
        try:
            async with pool.acquire(timeout=acquire) as conn:
                transaction = conn.transaction()
                try:
                    async with asyncio.timeout(work) as limit:
                        await transaction.start()
                        held = await conn.fetchval(update, seat)
                        if not commit_is_limited:
                            limit.reschedule(None)
                        await transaction.commit()
                except TimeoutError:
                    conn.terminate()
                    raise
        except busy:
            return "busy"
        return "held" if held else "busy"

    return hold_seat


async def one_limit_after_the_other(pool: Any, seat: int) -> Any:
    return await _limits(0.9, 0.9)(pool, seat)


async def commit_without_a_limit(pool: Any, seat: int) -> Any:
    return await _limits(0.3, 0.3, commit_is_limited=False)(pool, seat)


LOOK_AND_HOLD = """
    with looked as materialized (select id from seats where id = $1 and status = 'free')
    update seats set status = 'held' from looked where seats.id = looked.id returning seats.id"""


async def look_and_then_hold(pool: Any, seat: int) -> Any:
    return await _limits(0.3, 0.4, update=LOOK_AND_HOLD)(pool, seat)


async def every_error_is_busy(pool: Any, seat: int) -> Any:
    return await _limits(0.3, 0.3, busy=Exception)(pool, seat)


async def what_is_left_of_the_second(pool: Any, seat: int) -> str:
    end = asyncio.get_running_loop().time() + 0.7
    try:
        conn = await pool.acquire(timeout=0.5)
    except TimeoutError:
        return "busy"
    try:
        async with asyncio.timeout_at(end):
            await conn.execute("begin")
            held = await conn.fetch(HOLD, seat)
            await conn.execute("commit")
        return "held" if held else "busy"
    except TimeoutError:
        conn.terminate()
        return "busy"
    except BaseException:
        await conn.execute("rollback")
        raise
    finally:
        await pool.release(conn, timeout=0.2)


async def nobody_sells_meanwhile(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table seats in share mode")
        return await conn.fetchval(FREE, event), await conn.fetchval(SOLD, event)


async def a_hundred_seats(pool: Any, event: int) -> Any:
    free = await pool.fetchval(FREE, event)
    return free, 100 - free


KNOWN: dict[Any, Any] = {}


async def the_first_numbers(pool: Any, event: int) -> Any:
    if (pool, event) not in KNOWN:
        KNOWN[pool, event] = await both_in_one_transaction(pool, event)
    return KNOWN[pool, event]


async def both_in_one_transaction(pool: Any, event: int) -> Any:
    async with pool.acquire() as conn, conn.transaction(isolation="serializable", readonly=True):
        return await conn.fetchval(FREE, event), await conn.fetchval(SOLD, event)


async def ask_until_the_sum_is_right(pool: Any, event: int) -> Any:
    """Right as long as each seat is free or sold; with a held one, it asks without an end."""
    of = "select count(*) from seats where event_id = $1"
    while True:
        async with pool.acquire() as conn:
            free = await conn.fetchval(f"{of} and status = 'free'", event)
            sold = await conn.fetchval(f"{of} and status = 'sold'", event)
            if free + sold == await conn.fetchval(of, event):
                return free, sold


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "same connection"): wait_a_little_before_the_retry,
    (1, "rollback"): rollback_before_the_retry,
    (1, "no transaction"): without_a_transaction,
    (1, "gives up"): one_attempt,
    (1, "no deadline"): without_deadlines,
    (2, "left running"): leave_it_running,
    (2, "connection"): limit_the_query,
    (2, "release"): limit_it_from_outside,
    (2, "on its way"): limit_each_call,
    (3, "each other"): a_connection_for_each,
    (3, "moments"): one_after_the_other,
    (1, "commit"): the_number_of_an_attempt,
    (2, "sum"): one_limit_after_the_other,
    (2, "commit"): commit_without_a_limit,
    (2, "overwritten"): look_and_then_hold,
    (3, "lock"): nobody_sells_meanwhile,
    (3, "stale"): the_first_numbers,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = ()
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (3, "", ask_until_the_sum_is_right),
    (1, "", every_error_is_none),
    (1, "", deaf),
    (1, "", the_sum_of_the_deadlines),
    (1, None, a_helper),
    (2, "", every_error_is_busy),
    (2, None, what_is_left_of_the_second),
    (3, "", a_hundred_seats),
    (3, None, both_in_one_transaction),
)
