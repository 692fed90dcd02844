"""An answer within a second, whatever the seat has to wait for."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .standstill import GRACE, every_connection_taken, nobody_works

TITLE = "an answer within a second"

HINTS = (
    "There are four things that this function can wait for. The query is one of them.",
    "It waits for a connection, for the lock, for an answer of a server that has fallen silent, "
    "and, when it gives the connection back, for the server once more. And what a silent server "
    "has received, it does when it wakes up.",
    "`pool.acquire(timeout=…)` limits the wait for a connection and the giving back, "
    "asyncio.timeout what is between. An UPDATE in a transaction is undone if COMMIT is never "
    "sent; conn.terminate() ends one without waiting for ROLLBACK.",
)

TRAPS = {
    "left running": "The customer was told that the seat is busy, and when the lock was released "
    "it was held all the same: the query had gone on.",
    "connection": "While all connections were taken it waited without a limit: the limit of a "
    "query begins when there is a connection.",
    "release": "With a silent server it came too late: the query was given up in time, and then "
    "giving the connection back, or the ROLLBACK before it, waited for the server.",
    "on its way": "The silent server had the statement already, and did it when it woke up: the "
    "seat is held, for a customer who was told that it is busy.",
}

ANSWER = 1.0  # seconds that a customer waits
FREE = "select id from seats where status = 'free' order by id limit 6"
SOLD = "select min(id) from seats where status = 'sold'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        try:
            await _hold(exam, stack, pool, look)
        finally:
            pool.terminate()


async def _hold(exam: Examination, stack: servers.Stack, pool: Any, look: Any) -> None:
    free = [row["id"] for row in await look.fetch(FREE)]
    sold = await look.fetchval(SOLD)

    async def status(seat: int) -> Any:
        return await look.fetchval("select status from seats where id = $1", seat)

    mine = await exam.run(pool, free[0])
    is_held = mine.value == "held" and await status(free[0]) == "held"
    exam.criterion("a free seat: held", is_held, str(mine), timed=True)
    taken = await exam.run(pool, sold)
    is_sold = taken.value == "busy" and await status(sold) == "sold"
    exam.criterion("a sold seat: busy", is_sold, str(taken))

    other = await admin(stack)
    await other.execute(f"begin; update seats set price_cents = price_cents where id = {free[1]}")
    locked = await exam.run(pool, free[1], limit=4)
    exam.criterion("somebody else has locked the seat: busy, in time", *_in_time(exam, locked))
    await other.execute("rollback")
    await nobody_works(look, pool)
    left = await status(free[1])
    exam.criterion("and it stays free afterwards", left == "free", f"the seat is {left}")

    async with every_connection_taken(pool):
        full = await exam.run(pool, free[2], limit=4)
    exam.criterion("no connection is free: busy, in time", *_in_time(exam, full))

    with stack.postgres.paused():
        silent = await exam.run(pool, free[3], limit=4)
    exam.criterion("PostgreSQL has fallen silent: busy, in time", *_in_time(exam, silent))
    await nobody_works(look, pool)
    woken = await status(free[3])
    exam.criterion(
        "and when it is back, the seat stays free", woken == "free", f"the seat is {woken}"
    )
    again = await exam.run(pool, free[4], limit=4)
    exam.criterion("it is back: held", again.value == "held", str(again), timed=True)

    late = [_is_late(one) for one in (locked, full, silent)]
    if left == "held" and not late[0]:
        exam.trap("left running")
    elif late in ([False, True, False], [False, True, True]):
        exam.trap("connection")
    elif late == [False, False, True]:
        exam.trap("release")
    elif woken == "held" and not any(late):
        exam.trap("on its way")


def _is_late(outcome: Outcome) -> bool:
    return outcome.hung or outcome.seconds > ANSWER + GRACE


def _in_time(exam: Examination, outcome: Outcome) -> tuple[bool, str]:
    in_time = exam.in_time(outcome.seconds, ANSWER + GRACE) and not outcome.hung
    when = "in time" if in_time else "later than a second"
    return in_time and outcome.value == "busy", f"{outcome}, {when}"
