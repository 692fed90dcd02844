"""Exercise 04: what Encore's shop does when the database does not answer in time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import asyncpg

from ... import servers, views
from ...servers.stack import Stack
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "04_timeouts_and_cancellation"


# Task 1: an order that was confirmed is an order


async def _orders(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn())
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)

        async def stored(number: object) -> bool:
            return isinstance(number, int) and await look.fetchval(
                "select exists (select from orders where id = $1)", number
            )

        in_time = await exam.run(pool, 1, 4200, (5.0,), limit=8)
        exam.criterion(
            "nobody is late: the order is there", await stored(in_time.value), _seen(in_time)
        )

        before = await look.fetchval("select count(*) from orders")
        late = await exam.run(pool, 2, 4200, (0.0, 5.0), limit=8)
        kept = await stored(late.value)
        exam.criterion(
            "the first deadline has passed at once: what was confirmed is there",
            kept,
            _seen(late)
            if not late.returned or late.value is None
            else "the order is there"
            if kept
            else f"order {late.value} was confirmed, and nobody can see it",
        )
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
        )
        rows = await look.fetchval("select count(*) from orders") - before
        confirmed = len(numbers) + isinstance(late.value, int)
        exam.criterion(
            "and no order that was not confirmed",
            rows <= confirmed,
            f"{confirmed} confirmed, {rows} there",
        )
        before = await look.fetchval("select count(*) from orders")
        async with pool.acquire(), pool.acquire():
            full = await exam.run(pool, 4, 4200, (0.1, 0.1), limit=4)
        exam.criterion(
            "no connection is free: None, when both deadlines of 0.1 s have passed",
            full.returned and full.value is None and full.seconds < 0.2 + GRACE,
            _seen(full)
            if full.value is not None or not full.returned
            else "None came back, " + ("in time" if full.seconds < 0.2 + GRACE else "too late"),
        )
        other = await asyncpg.connect(stack.postgres.dsn())
        await other.execute("begin; lock table orders in access exclusive mode")
        locked = await exam.run(pool, 5, 4200, (0.1, 0.1), limit=4)
        await other.execute("rollback")
        await _nobody_works(stack)
        added = await look.fetchval("select count(*) from orders") - before
        exam.criterion(
            "the table is locked: None, in time, and no order afterwards",
            locked.returned and locked.value is None and locked.seconds < 0.2 + GRACE and not added,
            f"{_seen(locked)}, {'in time' if locked.seconds < 0.2 + GRACE else 'too late'}, {added} orders afterwards",
        )
        open_transactions = sum(
            row["state"] == "idle in transaction"
            for row in (await views.backends(stack.postgres)).rows
        )
        exam.criterion(
            "no transaction is left open",
            not open_transactions,
            f"{open_transactions} idle in transaction",
        )
        pool.terminate()
    broken = [
        one
        for one in (late, *crowd)
        if isinstance(one.error, asyncpg.InterfaceError | asyncpg.PostgresError)
    ]
    if lost:
        exam.trap("same connection")
    elif any(isinstance(one.error, asyncpg.NoActiveSQLTransactionError) for one in broken):
        exam.trap("rollback")
    elif rows > confirmed:
        exam.trap("no transaction")
    elif not in_time.error and late.returned and late.value is None:
        exam.trap("gives up")
    elif full.hung or locked.hung:
        exam.trap("no deadline")


# Task 2: an answer within a second

ANSWER = 1.0  # seconds that a customer waits
GRACE = 0.7  # for a busy machine


async def _hold(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn())
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        free = [
            row["id"]
            for row in await look.fetch(
                "select id from seats where status = 'free' order by id limit 6"
            )
        ]
        sold = await look.fetchval("select min(id) from seats where status = 'sold'")

        async def status(seat: int) -> Any:
            return await look.fetchval("select status from seats where id = $1", seat)

        mine = await exam.run(pool, free[0])
        exam.criterion(
            "a free seat: held",
            mine.value == "held" and await status(free[0]) == "held",
            _seen(mine),
        )
        taken = await exam.run(pool, sold)
        exam.criterion(
            "a sold seat: busy",
            taken.value == "busy" and await status(sold) == "sold",
            _seen(taken),
        )

        other = await asyncpg.connect(stack.postgres.dsn())
        await other.execute(
            f"begin; update seats set price_cents = price_cents where id = {free[1]}"
        )
        locked = await exam.run(pool, free[1], limit=4)
        exam.criterion("somebody else has locked the seat: busy, in time", *_in_time(locked))
        await other.execute("rollback")
        await _nobody_works(stack)
        left = await status(free[1])
        exam.criterion("and it stays free afterwards", left == "free", f"the seat is {left}")

        async with pool.acquire(), pool.acquire():
            full = await exam.run(pool, free[2], limit=4)
        exam.criterion("no connection is free: busy, in time", *_in_time(full))

        with stack.postgres.paused():
            silent = await exam.run(pool, free[3], limit=4)
        exam.criterion("PostgreSQL has fallen silent: busy, in time", *_in_time(silent))
        await _nobody_works(stack)
        woken = await status(free[3])
        exam.criterion(
            "and when it is back, the seat stays free", woken == "free", f"the seat is {woken}"
        )
        again = await exam.run(pool, free[4], limit=4)
        exam.criterion("it is back: held", again.value == "held", _seen(again))
        pool.terminate()
    late = [_late(one) for one in (locked, full, silent)]
    if left == "held" and not late[0]:
        exam.trap("left running")
    elif late == [False, True, False] or late == [False, True, True]:
        exam.trap("connection")
    elif late == [False, False, True]:
        exam.trap("release")
    elif woken == "held" and not any(late):
        exam.trap("on its way")


def _late(outcome: Outcome) -> bool:
    return outcome.hung or outcome.seconds > ANSWER + GRACE


def _in_time(outcome: Outcome) -> tuple[bool, str]:
    met = not _late(outcome) and outcome.value == "busy"
    return met, f"{_seen(outcome)}, {'later than a second' if _late(outcome) else 'in time'}"


async def _nobody_works(stack: Stack) -> None:
    """Until what was waiting for the lock has been done, or is gone."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if all(row["state"] == "idle" for row in (await views.backends(stack.postgres)).rows):
            return
        await asyncio.sleep(0.01)


# Task 3: two numbers that belong together


async def _counts(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn())
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=4, max_size=4)
        expected = await look.fetchrow("""
            select count(*) filter (where status = 'free'), count(*) filter (where status = 'sold')
            from seats where event_id = 1""")
        alone = await exam.run(pool, 1)
        right = _pair(alone.value) == tuple(expected)
        exam.criterion(
            "nobody else is there: free and sold seats",
            right,
            str(alone)
            if not _pair(alone.value)
            else "right"
            if right
            else "other numbers came back",
        )

        before = time.monotonic()
        crowd = await asyncio.gather(*(exam.run(pool, 1, limit=4) for _ in range(20)))
        served = sum(_pair(one.value) == tuple(expected) for one in crowd)
        exam.criterion(
            "20 pages at once, 4 connections: all are served",
            served == 20,
            f"{served} of 20 in {time.monotonic() - before:.1f} s" if served < 20 else "20 of 20",
        )
        waiting = sum(one.hung for one in crowd)
        pool.terminate()

        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=4, max_size=4)
        await look.execute("update seats set status = 'free' where event_id = 2")
        total = await look.fetchval("select count(*) from seats where event_id = 2")
        selling = asyncio.ensure_future(_sell_and_take_back(look))
        odd = asked = 0
        while served == 20 and asked < 300 and not odd:
            outcome = await exam.run(pool, 2)
            asked += 1
            odd += not (pair := _pair(outcome.value)) or sum(pair) != total
        selling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await selling
        exam.criterion(
            "while all seats of an event are sold and taken back: the numbers add up",
            not odd and asked > 0,
            "not asked"
            if not asked
            else "they did not, once"
            if odd
            else f"{asked} of {asked} times",
        )
        pool.terminate()
    if waiting:
        exam.trap("each other")
    elif odd:
        exam.trap("moments")


async def _sell_and_take_back(conn: Any) -> None:
    while True:
        for status in ("sold", "free"):
            await conn.execute(f"update seats set status = '{status}' where event_id = 2")


def _pair(value: object) -> tuple[int, int] | None:
    if (
        isinstance(value, tuple | list | asyncpg.Record)
        and len(value) == 2
        and all(isinstance(one, int) for one in value)
    ):
        return value[0], value[1]
    return None


def _seen(outcome: Outcome) -> str:
    if not outcome.returned:
        return str(outcome)
    return (
        f"{outcome.value!r:.60} came back"
        if not isinstance(outcome.value, int)
        else f"order {outcome.value} came back"
    )


DRILL = Drill(
    NAME,
    "Exercise 04: when the database does not answer in time",
    (
        Task(
            1,
            "an order that was confirmed is there",
            _orders,
            drill=NAME,
            hints=(
                "What does `conn.is_in_transaction()` say at the end of the function, after a deadline that has passed at once?",
                "The cancelled attempt has left the connection with a transaction that asyncpg remembers. The next `transaction()` on "
                "the same connection is taken for a nested one.",
                "Which lines belong to one attempt? Put `pool.acquire()` inside of the loop, so that each attempt has a connection that "
                "was reset since the last one.",
            ),
            traps={
                "same connection": "An order was confirmed, and it was never committed: the transaction around it is one of the attempt "
                "before, on the same connection.",
                "rollback": "ROLLBACK has ended the transaction on the server, and asyncpg still remembers one.",
                "no transaction": "There are orders that nobody was told of: an attempt that was given up has stored one.",
                "gives up": "The first missed deadline was the last: there were more, and the customer had time.",
                "no deadline": "The deadlines have passed, and it waits still: for a connection, or for the lock on the table.",
            },
        ),
        Task(
            2,
            "an answer within a second",
            _hold,
            drill=NAME,
            hints=(
                "There are four things that this function can wait for. The query is one of them.",
                "It waits for a connection, for the lock, for an answer of a server that has fallen silent, and, when it gives the "
                "connection back, for the server once more. And what a silent server has received, it does when it wakes up.",
                "`pool.acquire(timeout=…)` limits the wait for a connection and the giving back, asyncio.timeout what is between. An "
                "UPDATE in a transaction is undone if COMMIT is never sent; conn.terminate() ends one without waiting for ROLLBACK.",
            ),
            traps={
                "left running": "The customer was told that the seat is busy, and when the lock was released it was held all the same: "
                "the query had gone on.",
                "connection": "While all connections were taken it waited without a limit: the limit of a query begins when there is "
                "a connection.",
                "release": "With a silent server it came too late: the query was given up in time, and then giving the connection back, "
                "or the ROLLBACK before it, waited for the server.",
                "on its way": "The silent server had the statement already, and did it when it woke up: the seat is held, for a customer "
                "who was told that it is busy.",
            },
        ),
        Task(
            3,
            "two numbers that belong together",
            _counts,
            drill=NAME,
            hints=(
                "A connection does one thing at a time. Which two things happen on it at once?",
                "A second connection for the second query: then everyone who has one waits for another. And two statements see the data "
                "at two moments.",
                "One statement sees one moment: `count(*) filter (where …)` counts twice in a single query. A transaction with "
                'isolation="repeatable_read" does it as well.',
            ),
            traps={
                "each other": "Every page holds one connection and waits for a second one, for ever.",
                "moments": "The numbers came one after the other, and between them seats were sold: together they are not the number of "
                "seats.",
            },
        ),
    ),
)
