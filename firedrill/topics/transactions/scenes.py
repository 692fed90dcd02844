"""What happens to the retry of task 3: conflicts without end, a cancellation, a lost COMMIT."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from ...servers.stack import Stack
from .locks import end_who_waits, waits_for_a_lock
from .payment import Payment

ATTEMPTS = 5

SLOW_COMMIT = """
    create function slow() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock(8); return null; end';
    create constraint trigger slow_commit after insert on payments
    deferrable initially deferred for each row execute function slow()"""
PAID = "select count(*) from payments where amount_cents = $1"


async def always_in_conflict(
    exam: Examination, look: Any, pool: Any, work: Payment
) -> tuple[Payment, Outcome, int]:
    """Each attempt fails. Ended as soon as one too many has begun, and not by a limit."""
    running = exam.start(pool, work, limit=15)
    await until(lambda: running.done() or work.calls > ATTEMPTS, "the attempts end", 15)
    if not running.done():
        await running.end()
    return work, await running, await look.fetchval(PAID, work.amount)


async def is_broken_off(
    exam: Examination, stack: Stack, look: Any, pool: Any, work: Payment, cancelled: bool
) -> None:
    """While a statement of `work` waits for a lock, it is cancelled, or its connection is ended."""
    await look.execute("begin; lock table payments in exclusive mode")
    running = exam.start(pool, work, limit=8)
    await waits_for_a_lock(stack, running)
    if cancelled:
        running.cancel()
    else:
        other = await admin(stack)
        await end_who_waits(other)
    await until(lambda: running.done() or work.calls > 1, "the call that was broken off ends")
    calls = work.calls
    await look.execute("rollback")
    outcome = await running
    paid = await look.fetchval(PAID, work.amount)
    arrived = isinstance(outcome.error, asyncio.CancelledError) if cancelled else outcome.error
    exam.criterion(
        "cancelled in `work`: CancelledError arrives, not tried again, nothing is paid"
        if cancelled
        else "the connection breaks in `work`: not tried again, the error arrives, nothing is paid",
        bool(arrived) and calls == 1 and not paid,
        told(work, outcome, paid),
    )


async def others_get_a_turn(exam: Examination, stack: Stack, work: Payment) -> None:
    """A pool of one connection: while the first attempt runs, somebody begins to wait for it."""
    served: list[int] = []  # attempts that had begun when somebody else got the connection
    async with asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1) as pool:

        async def borrow() -> None:
            async with pool.acquire():
                served.append(work.calls)

        async def queued(conn: Any) -> str:
            if not work.calls:
                others.append(asyncio.create_task(borrow()))
            return await work(conn)

        others: list[asyncio.Task[None]] = []
        outcome = await exam.run(pool, queued, limit=8)
        await asyncio.wait(others or [asyncio.create_task(borrow())], timeout=5)
        exam.criterion(
            "a pool of one: between two attempts, others get the connection",
            outcome.returned and work.calls == 2 and served == [1],
            f"{outcome}; somebody else got it after attempt {', '.join(map(str, served))}"
            if served
            else f"{outcome}; nobody else got it",
        )
        pool.terminate()


async def dies_in_commit(
    exam: Examination, stack: Stack, look: Any, amount: int
) -> tuple[Payment, Outcome, int]:
    """COMMIT waits for a lock, the client loses its connection, then the server goes on."""
    await look.execute(SLOW_COMMIT)
    await look.execute("select pg_advisory_lock(8)")
    with wire.tap(stack, in_front_of="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        work = Payment(None, amount)
        running = exam.start(pool, work, limit=8)
        await waits_for_a_lock(stack, running)
        tap.reset()
        await running.wait(1)
        await look.execute("select pg_advisory_unlock(8)")
        outcome = await running
        # All transactions that write payments have ended when this lock is given.
        await look.execute("begin; lock table payments in share mode; commit")
        pool.terminate()
    return (
        work,
        outcome,
        await look.fetchval(PAID, amount),
    )


def told(work: Payment, outcome: Outcome, rows: int) -> str:
    calls = "1 attempt" if work.calls == 1 else f"{work.calls} attempts"
    paid = ("never", "once", "twice")[rows] if rows < 3 else f"{rows} times"
    if work.calls > ATTEMPTS:
        return f"{calls} had begun, and the check ended it; paid {paid}"
    return f"{calls}, paid {paid}, {outcome}"
