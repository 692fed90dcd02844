"""A sale among others: who holds the seat, the connections, and how the pool is left."""

from __future__ import annotations

import asyncpg

from ...checking.waiting import until
from .sale import EVENT, SIZE, SOLD, Sale, came, is_number

SLOW = "create trigger slow before insert on orders for each row execute function slow()"
WAITING = (
    "select count(*) from pg_stat_activity where datname = 'encore' and wait_event_type = 'Lock'"
)


async def waits(sale: Sale) -> bool:
    async with sale.admin.transaction():
        await sale.admin.execute("select from seats where event_id = 5 and label = 'C1' for update")
        outcome = await sale.exam.run(sale.pool, 24, EVENT, "C1", limit=2.5)
    soon = outcome.seconds >= 0.4 and sale.exam.in_time(outcome.seconds, 1.5)
    sale.exam.criterion(
        "somebody holds the seat: after half a second, LockNotAvailableError",
        isinstance(outcome.error, asyncpg.LockNotAvailableError) and soon,
        f"{outcome}{'' if soon else f', after {outcome.seconds:.1f} s'}",
    )
    if outcome.hung:
        sale.exam.trap("no limit")
        return True
    if sale.leaked():
        return True
    held = [await sale.pool.acquire() for _ in range(SIZE)]
    outcome = await sale.exam.run(sale.pool, 25, EVENT, "C2", limit=3)
    for conn in held:
        await sale.pool.release(conn)
    sale.exam.criterion(
        "no connection is free: after a second, TimeoutError",
        isinstance(outcome.error, TimeoutError),
        str(outcome),
    )
    if outcome.hung:
        sale.exam.trap("forever")
        return True
    await sale.admin.execute(SLOW)
    outcome, stored = await sale.sell(27, "C4")
    await sale.admin.execute("drop trigger slow on orders")
    sale.exam.criterion(
        "the insert of the order takes longer than a second: it is waited for, and sold",
        is_number(outcome.value) and stored == SOLD,
        came(outcome, stored),
    )
    return True


async def cancelled(sale: Sale) -> bool:
    """While it waits for a seat. A connection that does not come back is the caller's to tell."""
    async with sale.admin.transaction():
        await sale.admin.execute("select from seats where event_id = 5 and label = 'C3' for update")
        sold = sale.exam.start(sale.pool, 26, EVENT, "C3")

        async def is_waiting() -> bool:
            return sold.done() or bool(await sale.admin.fetchval(WAITING))

        await until(is_waiting, "it waits for the seat")
        sold.cancel()
        await sold.wait(3)
    return True


async def neighbours(sale: Sale) -> bool:
    """Asked at last, of each connection of the pool."""
    held = [await sale.pool.acquire() for _ in range(SIZE)]
    kinds = {
        type(await conn.fetchval("select basket from orders limit 1")).__name__ for conn in held
    }
    for conn in held:
        await sale.pool.release(conn)
    sale.exam.criterion(
        "other handlers of this pool do json.loads() themselves: they still can",
        kinds == {"str"},
        f"they get {' or '.join(sorted(kinds))}",
    )
    if kinds != {"str"}:
        sale.exam.trap("for everybody")
    return True
