"""An order that was confirmed is there, and none that was not, whatever deadlines are missed."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers, views
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .standstill import GRACE, every_connection_taken, nobody_works

TITLE = "an order that was confirmed is there"

HINTS = (
    "What does `conn.is_in_transaction()` say at the end of the function, after a deadline that "
    "has passed at once?",
    "The cancelled attempt has left the connection with a transaction that asyncpg remembers. The "
    "next `transaction()` on the same connection is taken for a nested one.",
    "Which lines belong to one attempt? Put `pool.acquire()` inside of the loop, so that each "
    "attempt has a connection that was reset since the last one.",
)

TRAPS = {
    "same connection": "An order was confirmed, and it was never committed: the transaction "
    "around it is one of the attempt before, on the same connection.",
    "rollback": "ROLLBACK has ended the transaction on the server, and asyncpg still remembers "
    "one.",
    "no transaction": "There are orders that nobody was told of: an attempt that was given up has "
    "stored one.",
    "gives up": "The first missed deadline was the last: there were more, and the customer had "
    "time.",
    "no deadline": "The deadlines have passed, and it waits still: for a connection, or for the "
    "lock on the table.",
}

COUNT = "select count(*) from orders"
BOTH = 0.2 + GRACE  # seconds, for two deadlines of 0.1 s


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        try:
            await _place(exam, stack, pool, look)
        finally:
            pool.terminate()


async def _place(exam: Examination, stack: servers.Stack, pool: Any, look: Any) -> None:
    async def stored(number: object) -> bool:
        return isinstance(number, int) and await look.fetchval(
            "select exists (select from orders where id = $1)", number
        )

    in_time = await exam.run(pool, 1, 4200, (5.0,), limit=8)
    exam.criterion(
        "nobody is late: the order is there", await stored(in_time.value), _told(in_time)
    )

    before = await look.fetchval(COUNT)
    late = await exam.run(pool, 2, 4200, (0.0, 5.0), limit=8)
    kept = await stored(late.value)
    seen = _told(late)
    if late.returned and late.value is not None:
        unseen = f"order {late.value} was confirmed, and nobody can see it"
        seen = "the order is there" if kept else unseen
    exam.criterion("the first deadline has passed at once: what was confirmed is there", kept, seen)
    # What was confirmed and cannot be seen may still be in a transaction that nobody ends.
    lost = isinstance(late.value, int) and not kept

    crowd = await asyncio.gather(
        *(exam.run(pool, 3, 4200, (0.0, 0.0, 5.0), limit=10) for _ in range(20))
    )
    numbers = [one.value for one in crowd if isinstance(one.value, int)]
    there = sum([await stored(number) for number in numbers])
    exam.criterion(
        "20 orders at once, two deadlines missed each: every confirmed one is there",
        there == len(numbers) == len(crowd),
        f"{len(numbers)} of 20 were confirmed, {there} are there",
        timed=True,
    )
    rows = await look.fetchval(COUNT) - before
    confirmed = len(numbers) + isinstance(late.value, int)
    exam.criterion(
        "and no order that was not confirmed",
        rows <= confirmed,
        f"{confirmed} confirmed, {rows} there",
    )

    before = await look.fetchval(COUNT)
    async with every_connection_taken(pool):
        full = await exam.run(pool, 4, 4200, (0.1, 0.1), limit=4)
    full_in_time = exam.in_time(full.seconds, BOTH)
    gave_up = full.returned and full.value is None
    exam.criterion(
        "no connection is free: None, when both deadlines of 0.1 s have passed",
        gave_up and full_in_time,
        f"None came back, {'in time' if full_in_time else 'too late'}" if gave_up else _told(full),
    )

    other = await admin(stack)
    await other.execute("begin; lock table orders in access exclusive mode")
    locked = await exam.run(pool, 5, 4200, (0.1, 0.1), limit=4)
    await other.execute("rollback")
    await nobody_works(look, pool)
    added = await look.fetchval(COUNT) - before
    locked_in_time = exam.in_time(locked.seconds, BOTH)
    exam.criterion(
        "the table is locked: None, in time, and no order afterwards",
        locked.returned and locked.value is None and locked_in_time and not added,
        f"{_told(locked)}, {'in time' if locked_in_time else 'too late'}, "
        f"{added} orders afterwards",
    )
    backends = (await views.backends(stack.postgres)).rows
    left_open = sum(row["state"] == "idle in transaction" for row in backends)
    exam.criterion("no transaction is left open", not left_open, f"{left_open} idle in transaction")

    errors = [one.error for one in (late, *crowd)]
    if lost:
        exam.trap("same connection")
    elif any(isinstance(error, asyncpg.NoActiveSQLTransactionError) for error in errors):
        exam.trap("rollback")
    elif rows > confirmed:
        exam.trap("no transaction")
    elif not in_time.error and late.returned and late.value is None:
        exam.trap("gives up")
    elif full.hung or locked.hung:
        exam.trap("no deadline")


def _told(outcome: Outcome) -> str:
    """As the customer is told: a number is that of an order."""
    is_order = outcome.returned and isinstance(outcome.value, int)
    return f"order {outcome.value} came back" if is_order else str(outcome)
