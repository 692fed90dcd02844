"""A sale among others: who holds the seat, the connections, and how the pool is left."""

from __future__ import annotations

import asyncio

import asyncpg

from ...checking.examination import Running
from ...checking.waiting import until
from .sale import EVENT, REFUSE, SIZE, SOLD, STORED, Sale, came, is_number

SLOW = "create trigger slow before insert on orders for each row execute function slow()"
SOLD_ELSEWHERE = "update seats set status = 'sold' where event_id = 5 and label = $1"
PAUSE = """
    create function pause() returns trigger language plpgsql as $$
    begin perform pg_sleep(0.3); return new; end $$;
    create trigger a_pause before insert on orders for each row execute function pause()"""
SLEEPING = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
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


async def overtaken(sale: Sale) -> bool:
    """Somebody is selling the seat: it looks free until their COMMIT, and is sold then."""
    stored, outcome = "", None
    for seat in ("D1", "D2", "D3"):  # a slow machine may be later than the lock's limit
        transaction = sale.admin.transaction()
        await transaction.start()
        await sale.admin.execute(SOLD_ELSEWHERE, seat)
        sold = sale.exam.start(sale.pool, 28, EVENT, seat)
        await _waits_for_a_lock(sale, sold)
        await transaction.commit()
        outcome = await sold
        stored = (await sale.admin.fetchrow(STORED, seat))["orders"]
        if not isinstance(outcome.error, asyncpg.LockNotAvailableError):
            break
    assert outcome
    sale.exam.criterion(
        "somebody else sells the seat, and commits while it is waited for: None",
        outcome.returned and outcome.value is None and not stored,
        f"{outcome}, {stored} orders for a seat that is theirs" if stored else str(outcome),
        timed=isinstance(outcome.error, asyncpg.LockNotAvailableError),
    )
    return not outcome.hung


async def keeps_its_connection(sale: Sale) -> bool:
    """Between two attempts another request waits for a connection, and keeps it."""
    held = [await sale.pool.acquire() for _ in range(SIZE - 1)]
    await sale.admin.execute(f"alter sequence attempts restart; {PAUSE}")
    await sale.admin.execute(REFUSE["insert"].format(1, "40001"))
    sold = sale.exam.start(sale.pool, 29, EVENT, "C5")

    async def is_inserting() -> bool:
        return sold.done() or bool(await sale.admin.fetchval(SLEEPING))

    await until(is_inserting, "its first attempt is under way")
    other = asyncio.ensure_future(sale.pool.acquire())
    outcome = await sold
    for conn in held:
        await sale.pool.release(conn)
    await sale.pool.release(await other)
    await sale.admin.execute(
        "drop trigger refuse on orders; drop trigger a_pause on orders; drop function pause()"
    )
    row = await sale.admin.fetchrow(STORED, "C5")
    sale.exam.criterion(
        "a second attempt is made while others wait for a connection: on the one that it has",
        is_number(outcome.value) and row["orders"] == 1,
        came(outcome, f"{row['status']}, {row['orders']} orders"),
    )
    return not outcome.hung


async def _waits_for_a_lock(sale: Sale, sold: Running) -> None:
    async def is_waiting() -> bool:
        return sold.done() or bool(await sale.admin.fetchval(WAITING))

    await until(is_waiting, "it waits for the seat")


async def cancelled(sale: Sale) -> bool:
    """While it waits for a seat. A connection that does not come back is the caller's to tell."""
    async with sale.admin.transaction():
        await sale.admin.execute("select from seats where event_id = 5 and label = 'C3' for update")
        sold = sale.exam.start(sale.pool, 26, EVENT, "C3")
        await _waits_for_a_lock(sale, sold)
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
