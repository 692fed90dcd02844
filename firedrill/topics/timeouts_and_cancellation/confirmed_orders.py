"""An order that was confirmed is there, and none that was not, whatever deadlines are missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, views
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from .standstill import GRACE, SESSIONS, every_connection_taken, nobody_works

TITLE = "an order that was confirmed is there"

HINTS = (
    "What does `conn.is_in_transaction()` say at the end of the function, after a deadline that "
    "has passed at once?",
    "The cancelled attempt has left the connection with a transaction that asyncpg remembers. The "
    "next `transaction()` on the same connection is taken for a nested one.",
    "Which lines belong to one attempt? Put `pool.acquire()` into the loop, inside the deadline, "
    "so that each attempt has a connection that was reset, and its wait counts.",
)

TRAPS = {
    "same connection": "An order was confirmed, and it was never committed: the transaction "
    "around it is that of an earlier attempt, on the same connection.",
    "rollback": "ROLLBACK has ended the transaction on the server, and asyncpg still remembers "
    "one.",
    "no transaction": "There are orders whose number nobody got: an attempt that was given up has "
    "stored one.",
    "gives up": "The first missed deadline was the last: there were more, and the customer had "
    "time.",
    "no deadline": "The deadlines have passed, and it is still waiting: for a connection, or for "
    "the lock on the table.",
    "commit": "A deadline struck while COMMIT was at work, and the number of that attempt came "
    "back: PostgreSQL has rolled it back.",
}

COUNT = "select count(*) from orders"
STORED = "select exists (select from orders where (id, customer_id, total_cents) = ($1, $2, $3))"
BOTH = 0.2 + GRACE  # seconds, for two deadlines of 0.1 s
SLOW = 4300  # cents of an order whose COMMIT takes a second
SLOW_COMMIT = f"""
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_sleep(1); return null; end $$;
    create constraint trigger wait after insert on orders deferrable initially deferred
    for each row when (new.total_cents = {SLOW}) execute function wait()"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        try:
            await _place(exam, stack, pool, look)
        finally:
            pool.terminate()


async def _place(exam: Examination, stack: servers.Stack, pool: Any, look: Any) -> None:
    async def stored(one: Outcome, customer: int, cents: int = 4200) -> bool:
        number = one.value if type(one.value) is int else None
        return bool(await look.fetchval(STORED, number, customer, cents))

    in_time = await exam.run(pool, 1, 4200, (5.0,), limit=8)
    exam.criterion("nobody is late: the order is there", await stored(in_time, 1), _told(in_time))

    before = await look.fetchval(COUNT)
    late = await exam.run(pool, 2, 4200, (0.0, 5.0), limit=8)
    kept = await stored(late, 2)
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
    numbers = {one.value for one in crowd if isinstance(one.value, int)}
    there = sum([await stored(one, 3) for one in crowd])
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
    await _leaves(exam, look, pool)
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
    lost_in_commit = await _slow_commit(exam, look, pool, stored)
    unknown = await exam.run(pool, 999_999, 4200, (2.0, 2.0))
    exam.criterion(
        "there is no such customer: an error arrives",
        isinstance(unknown.error, Exception) and not isinstance(unknown.error, TimeoutError),
        str(unknown),
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
    elif lost_in_commit:
        exam.trap("commit")


async def _leaves(exam: Examination, look: Any, pool: Any) -> None:
    """The customer leaves while the table is locked: the web framework cancels."""
    customer = exam.start(pool, 6, 4200, (3.0, 3.0), limit=6)

    async def waits() -> bool:
        return customer.done() or bool(await look.fetch(f"{SESSIONS} and wait_event_type = 'Lock'"))

    await until(waits, "the order waits for the lock", 3)
    customer.cancel()
    await customer.wait(2)
    ended = customer.done()
    outcome = await customer
    exam.criterion(
        "a customer who leaves while it waits: it ends, with the cancellation",
        ended and isinstance(outcome.error, asyncio.CancelledError),
        str(outcome) if ended else "it went on",
        timed=True,
    )


async def _slow_commit(
    exam: Examination, look: Any, pool: Any, stored: Callable[..., Awaitable[bool]]
) -> bool:
    """Whether a number came back whose COMMIT was given up."""
    await look.execute(SLOW_COMMIT)
    alone = await exam.run(pool, 7, SLOW, (0.7, 0.7), limit=4)
    exam.criterion(
        "COMMIT takes a second, and there are two deadlines of 0.7 s: None",
        alone.returned and alone.value is None,
        _told(alone),
        timed=True,
    )
    again = await exam.run(pool, 8, SLOW, (0.4, 6.0), limit=9)
    is_there = await stored(again, 8, SLOW)
    exam.criterion(
        "and another attempt of 6 s: what was confirmed is there",
        is_there,
        "the order is there" if is_there else f"{_told(again)}, and nobody can see it",
        timed=True,
    )
    numbers = [(one, await stored(one, who, SLOW)) for one, who in ((alone, 7), (again, 8))]
    return any(type(one.value) is int and not there for one, there in numbers)


def _told(outcome: Outcome) -> str:
    """As the customer is told: a number is that of an order."""
    is_order = outcome.returned and isinstance(outcome.value, int)
    return f"order {outcome.value} came back" if is_order else str(outcome)
