"""An answer within a second, whatever the seat has to wait for."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from .standstill import GRACE, SESSIONS, every_connection_taken, nobody_works

TITLE = "an answer within a second"

HINTS = (
    "There are five things that this function can wait for. The query is one of them.",
    "It waits for a connection, for the lock, for the answer of a server that has fallen silent, "
    "for COMMIT, and, when it gives the connection back, for the server once more. The customer "
    "waits for the sum. And what a silent server has received, it does when it wakes up.",
    "`pool.acquire(timeout=…)` limits the wait for a connection and the release, asyncio.timeout "
    "what is between, COMMIT included. An UPDATE in a transaction is undone if COMMIT is never "
    "sent; conn.terminate() ends one without waiting for ROLLBACK.",
)

TRAPS = {
    "left running": "The customer was told that the seat is busy, and when the lock was released "
    "it was held all the same: the query had gone on.",
    "connection": "While all connections were taken it waited without a limit: the limit of a "
    "query begins when there is a connection.",
    "release": "With a silent server it came too late: the query was given up in time, and then "
    "the release of the connection, or the ROLLBACK before it, waited for the server.",
    "on its way": "The silent server had the statement already, and did it when it woke up: the "
    "seat is held, for a customer who was told that it is busy.",
    "sum": "Each wait had a limit, and the customer waited for one after the other: first for a "
    "connection, then for the lock.",
    "commit": "COMMIT took its time, and nothing limited that.",
    "overwritten": "The seat was sold while the function waited for its lock, and is held now: it "
    "was free when it was looked at, not when it was changed.",
}

ANSWER = 1.0  # seconds that a customer waits
FREE = "select id from seats where status = 'free' order by id limit 8"
BOTH = 1.4  # the same where two waits follow each other: less than two limits of 0.7 s
TAKEN = 0.75  # seconds until there is a connection
SLOW_COMMIT = """
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_sleep(3); return null; end $$;
    create constraint trigger wait after update on seats deferrable initially deferred
    for each row when (new.id = {seat}) execute function wait()"""
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

    sessions = await _sessions(look, pool)
    mine = await exam.run(pool, free[0])
    is_held = mine.value == "held" and await status(free[0]) == "held"
    exam.criterion("a free seat: held", is_held, str(mine), timed=True)
    taken = await exam.run(pool, sold)
    is_sold = taken.value == "busy" and await status(sold) == "sold"
    none = await exam.run(pool, 999_999)
    exam.criterion(
        "a sold seat, and one that does not exist: busy",
        is_sold and none.value == "busy",
        f"{taken}, {none}",
    )
    kept = sessions <= await _sessions(look, pool)
    exam.criterion("the connections stay open", kept, "they do" if kept else "some were closed")
    wrong = await exam.run(pool, "A1")
    is_told = isinstance(wrong.error, Exception) and not isinstance(wrong.error, TimeoutError)
    exam.criterion("a seat that is no number: an error arrives", is_told, str(wrong))

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

    late_sum = await _two_waits(exam, stack, pool, free[5])
    overwritten = await _sold_meanwhile(exam, stack, look, pool, free[6])
    slow = await _slow_commit(exam, look, pool, free[7])

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
    elif overwritten:
        exam.trap("overwritten")
    elif slow:
        exam.trap("commit")
    elif late_sum:
        exam.trap("sum")


async def _two_waits(exam: Examination, stack: servers.Stack, pool: Any, seat: int) -> bool:
    """Whether it is late where a connection comes after a while, and then the seat is locked."""
    other = await admin(stack)
    await other.execute(f"begin; update seats set price_cents = price_cents where id = {seat}")
    async with every_connection_taken(pool):
        waiting = exam.start(pool, seat, limit=4)
        await waiting.wait(TAKEN)
    both = await waiting
    await other.execute("rollback")
    in_time = exam.in_time(both.seconds, BOTH) and not both.hung
    exam.criterion(
        f"a connection after {TAKEN} s, and then the seat is locked: busy, in time",
        in_time and both.value == "busy",
        f"{both}, {'in time' if in_time else 'later than a second'}",
    )
    return not in_time


async def _sold_meanwhile(
    exam: Examination, stack: servers.Stack, look: Any, pool: Any, seat: int
) -> bool:
    """Whether a seat is held that another customer has bought while it was waited for."""
    other = await admin(stack)
    await other.execute(f"begin; update seats set status = 'sold' where id = {seat}")
    waiting = exam.start(pool, seat, limit=4)

    async def waits() -> bool:
        return waiting.done() or bool(await look.fetch(f"{SESSIONS} and wait_event_type = 'Lock'"))

    await until(waits, "the customer waits for the lock", 2)
    await other.execute("commit")
    outcome = await waiting
    await nobody_works(look, pool)
    now = await look.fetchval("select status from seats where id = $1", seat)
    exam.criterion(
        "somebody else buys the seat meanwhile: busy, and it stays sold",
        outcome.value == "busy" and now == "sold",
        f"{outcome}, the seat is {now}",
    )
    return bool(now != "sold")


async def _slow_commit(exam: Examination, look: Any, pool: Any, seat: int) -> bool:
    await look.execute(SLOW_COMMIT.format(seat=seat))
    outcome = await exam.run(pool, seat, limit=4)
    exam.criterion("COMMIT takes three seconds: busy, in time", *_in_time(exam, outcome))
    await nobody_works(look, pool)
    return _is_late(outcome)


async def _sessions(look: Any, pool: Any) -> set[int]:
    """When the pool has all its connections."""

    async def complete() -> bool:
        return bool(len(await look.fetch(SESSIONS)) >= pool.get_max_size())

    await until(complete, "the pool has its connections", 2)
    return {row["pid"] for row in await look.fetch(SESSIONS)}


def _is_late(outcome: Outcome) -> bool:
    return outcome.hung or outcome.seconds > ANSWER + GRACE


def _in_time(exam: Examination, outcome: Outcome) -> tuple[bool, str]:
    in_time = exam.in_time(outcome.seconds, ANSWER + GRACE) and not outcome.hung
    when = "in time" if in_time else "later than a second"
    return in_time and outcome.value == "busy", f"{outcome}, {when}"
