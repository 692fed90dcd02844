"""The signal for a pool that is too small: how many requests wait for a connection now."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.waiting import until

TITLE = "how many requests wait for a connection"

HINTS = (
    "When does a request begin to wait, and in which three ways does its waiting end?",
    "A request that gives up, or whose customer has left, gets an exception from acquire(). What "
    "of your function runs then?",
    "Put `conn = await pool.acquire(timeout=0.5)` alone into `try`, and `gauge.waiting -= 1` into "
    "its `finally`. Release the connection in a `finally` of the query's.",
)

TRAPS = {
    "stays up": "Nobody waits any more, and the number says that somebody does: a request that "
    "gave up or was cancelled is still counted. Each makes the alert less true.",
    "holders": "Requests that have their connection are counted, too. A busy pool that nobody "
    "waits for would raise the alert.",
    "leak": "The query failed, and its connection did not come back to the pool.",
    "forever": "A request waited for a connection for more than a second. It should give up after "
    "half of one.",
}

SIZE = 2
LOCK = "lock table seats in access exclusive mode"
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        dsn = stack.postgres.dsn()
        look = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
        pool = await asyncpg.create_pool(dsn, min_size=SIZE, max_size=SIZE)
        gauge = SimpleNamespace(waiting=0)
        try:
            await _watch(exam, look, pool, gauge)
        finally:
            pool.terminate()


async def _watch(exam: Examination, look: Any, pool: Any, gauge: Any) -> None:
    outcome = await exam.run(pool, gauge, 5)
    exam.criterion("one request: how many seats", outcome.value == 100, str(outcome))
    if not outcome.returned:
        return
    outcome = await exam.run(pool, gauge, "five")
    refused = isinstance(outcome.error, asyncpg.DataError)
    exam.criterion("an event that is no number: asyncpg's DataError", refused, str(outcome))
    back = pool.get_idle_size() == SIZE
    exam.criterion("its connection came back", back, f"{pool.get_idle_size()} of {SIZE} are idle")
    if not back:
        exam.trap("leak")
        return
    if not await _busy(exam, look, pool, gauge):
        return
    await _in_vain(exam, pool, gauge)


async def _busy(exam: Examination, look: Any, pool: Any, gauge: Any) -> bool:
    """Two requests have their connections, and then a third one waits."""
    async with look.transaction():
        await look.execute(LOCK)
        running = [exam.start(pool, gauge, 5) for _ in range(SIZE)]

        async def have_connections() -> bool:
            return all(one.done() for one in running) or await look.fetchval(WAITING) == SIZE

        await until(have_connections, "both requests run their query")
        busy = gauge.waiting
        third = exam.start(pool, gauge, 5, limit=4)

        def has_begun() -> bool:
            return third.done() or gauge.waiting != busy

        await until(has_begun, "a third request is counted", 0.3)
        waiting = gauge.waiting
        exam.criterion("two requests have a connection: nobody waits", busy == 0, f"{busy}")
        exam.criterion("a third one comes: one waits", waiting - busy == 1, f"{waiting - busy}")
    for one in (*running, third):  # each returns: the lock is free
        await one
    if busy:
        exam.trap("holders" if busy == SIZE else "stays up")
    return bool(busy == 0 and waiting == 1)


async def _in_vain(exam: Examination, pool: Any, gauge: Any) -> None:
    held = [await pool.acquire() for _ in range(SIZE)]
    outcome = await exam.run(pool, gauge, 5, limit=2)
    soon = outcome.seconds >= 0.4 and exam.in_time(outcome.seconds, 1.2)
    exam.criterion(
        "no connection is free: TimeoutError after half a second",
        isinstance(outcome.error, TimeoutError) and soon,
        str(outcome) if soon else f"{outcome}, after {outcome.seconds:.1f} s",
    )
    if outcome.hung:
        exam.trap("forever")
    gave_up = gauge.waiting
    exam.criterion("it has given up: nobody waits", gave_up == 0, f"{gave_up}")
    if gave_up:
        exam.trap("stays up")
        return
    left = exam.start(pool, gauge, 5)

    def waits() -> bool:
        return left.done() or gauge.waiting > 0

    await until(waits, "a request waits")
    left.cancel()
    await left.wait(1.0)
    exam.criterion("a customer has left: nobody waits", gauge.waiting == 0, f"{gauge.waiting}")
    if gauge.waiting:
        exam.trap("stays up")
    for conn in held:
        await pool.release(conn)
    back = pool.get_idle_size() == SIZE
    exam.criterion("afterwards", back, f"{pool.get_idle_size()} of {SIZE} connections are idle")
