"""A box office that says "busy" in time: the limit of one wait, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from ... import servers, timeline, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until

TITLE = 'a box office that says "busy" in time'

HINTS = (
    "Lesson 02 has a table of four timeouts. Which of them runs while a request waits for a "
    "connection?",
    'Only the wait for a connection may end in "busy". A query may be slow, an error has to '
    "arrive, and a release may take its time: a seat that is sold stays sold.",
    "conn = await pool.acquire(timeout=0.3), alone in its try; then try … finally with "
    "pool.release(conn, timeout=…), since the limit of the acquire is also that of the release.",
)

TRAPS = {
    "connect": "The wait for a free connection has no limit; only the opening of a new one has.",
    "query": "The wait for a free connection has no limit; the query has one, and a slow query "
    "is cut off.",
    "larger": "More connections were opened. The box office has two; the next rush takes three.",
    "longer": "The limit is larger. The customer waits longer for the same answer.",
    "at once": 'It said "busy" without waiting, and a connection came back a moment later.',
    "everything": "The limit covers the query, too: a customer with a connection and a slow query "
    'was told "busy", or got a TimeoutError.',
    "leak": "Requests that failed, or were cancelled, did not give their connections back.",
    "sold again": "Another box office sold the seat while this sale waited for it, and this one "
    "sold it again.",
    "release": "The seat is sold, and the customer was told something else: the limit of acquire() "
    "is also the limit of the release.",
}

CONNECTIONS = 2
SOON = 0.59  # seconds: 0.3 on a machine that is busy with other things, and less than twice that
SEATS = "select id, price_cents from seats where event_id = 5 order by id"
SOLD_MEANWHILE = "another box office sells the seat while it waits for the row: None"
CANCEL = "select pg_cancel_backend(pid) from pg_locks where not granted"
STATUS = "select status::text from seats where id = $1"


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        outcome = await exam.run(tap.dsn())
        try:
            pool, sell = outcome.value
            assert isinstance(pool, asyncpg.Pool)
            assert callable(sell)
        except (TypeError, ValueError, AssertionError):
            exam.criterion("a pool and a function come back", False, str(outcome))
            return
        try:
            await _sell(exam, pool, sell, tap, look)
        finally:
            pool.terminate()


async def _sell(
    exam: Examination, pool: Any, sell: Callable[..., Any], tap: wire.Tap, look: Any
) -> None:
    seats = iter(await look.fetch(SEATS))

    async def sold(outcome: Outcome, seat: Any, what: str) -> bool:
        met: bool = outcome.returned and outcome.value == seat["price_cents"]
        is_sold = await look.fetchval(STATUS, seat["id"]) == "sold"
        seen = "sold" if met else f"{outcome}; the seat is {'sold' if is_sold else 'free'}"
        exam.criterion(what, met, seen, timed=True)
        return met

    seat = next(seats)
    alone = await exam.call(sell, seat["id"], limit=3)
    if not await sold(alone, seat, "a connection is free: sold"):
        return

    seat = next(seats)
    held = [await pool.acquire(timeout=5) for _ in range(CONNECTIONS)]
    none_free = await exam.call(sell, seat["id"], limit=1.6)
    said_busy = none_free.value == "busy"
    exam.criterion(
        'both connections are taken: "busy", after 0.3 s',
        said_busy and none_free.seconds >= 0.25 and exam.in_time(none_free.seconds, SOON),
        f'"busy" after {none_free.seconds:.1f} s' if said_busy else str(none_free),
    )

    seat = next(seats)
    with timeline.record(pool) as line:
        waiting = exam.start(seat["id"], of=sell, limit=3)
        await until(lambda: line.borrows or waiting.done(), "it waits for a connection", 1)
        await pool.release(held.pop())
        given = await sold(await waiting, seat, "one of them comes back while it waits: sold")
    for conn in held:
        await pool.release(conn)

    seat = next(seats)
    async with look.transaction():
        await look.fetchval("select id from seats where id = $1 for update", seat["id"])
        waiting = exam.start(seat["id"], of=sell, limit=6)

        async def waits_for_the_row() -> bool:
            blocked = await look.fetchval("select count(*) from pg_locks where not granted")
            return waiting.done() or bool(blocked)

        await until(waits_for_the_row, "it waits for the row")
        await waiting.wait(0.6)  # twice what it may wait for a connection
    slow_query = await sold(await waiting, seat, "the query waits for a row, for 0.6 s: sold")

    gone = {}
    for status in ("sold", "held"):
        seat = next(seats)
        await look.execute("update seats set status = $2 where id = $1", seat["id"], status)
        gone[f"the seat is {status}: None"] = await exam.call(sell, seat["id"], limit=3)
    seat = next(seats)
    async with look.transaction():
        await look.execute("update seats set status = 'sold' where id = $1", seat["id"])
        waiting = exam.start(seat["id"], of=sell, limit=6)
        await until(waits_for_the_row, "it waits for the row")
    gone[SOLD_MEANWHILE] = await waiting
    for what, outcome in gone.items():
        exam.criterion(what, outcome.returned and outcome.value is None, str(outcome))

    seat = next(seats)
    async with look.transaction():
        await look.fetchval("select id from seats where id = $1 for update", seat["id"])
        waiting = exam.start(seat["id"], of=sell, limit=6)
        await until(waits_for_the_row, "it waits for the row")
        await waiting.end()
    cancelled = pool.get_idle_size() == pool.get_size()
    exam.criterion(
        "the customer leaves while the query waits: the connection comes back",
        cancelled,
        "it does" if cancelled else f"{pool.get_idle_size()} of {pool.get_size()} are there",
    )

    seat = next(seats)
    async with look.transaction():
        await look.fetchval("select id from seats where id = $1 for update", seat["id"])
        waiting = exam.start(seat["id"], of=sell, limit=6)
        await until(waits_for_the_row, "it waits for the row")
        await look.execute(CANCEL)
        ended = await waiting
    arrives = isinstance(ended.error, asyncpg.QueryCanceledError)
    exam.criterion(
        "an administrator cancels the query: the QueryCanceledError arrives",
        arrives,
        "it does" if arrives else str(ended),
    )

    outcomes = [await exam.call(sell, "A1", limit=3) for _ in range(3)]
    refused = sum(isinstance(outcome.error, asyncpg.DataError) for outcome in outcomes)
    back = pool.get_idle_size() == pool.get_size()
    exam.criterion(
        'three requests for seat "A1", which is no id: the DataError arrives',
        refused == 3,
        "it does" if refused == 3 else f"in {refused} of 3; {outcomes[-1]}",
    )
    exam.criterion(
        "and every connection is back",
        back,
        "all are" if back else f"{pool.get_idle_size()} of {pool.get_size()} are",
    )

    unopened = Outcome()
    told = is_sold = True
    if back:
        await pool.expire_connections()
        seat = next(seats)
        with tap.stalled():
            unopened = await exam.call(sell, seat["id"], limit=1.2)
        exam.criterion(
            'a connection has to be opened, and PostgreSQL does not answer: "busy", after 0.3 s',
            unopened.value == "busy" and exam.in_time(unopened.seconds, SOON),
            str(unopened),
        )

        await exam.call(sell, next(seats)["id"], limit=5)  # opens one
        seat = next(seats)
        tap.delay(0.25)
        outcome = await exam.call(sell, seat["id"], limit=8)
        tap.delay(0)
        told = await sold(outcome, seat, "a network with 0.5 s for each round trip: sold")
        is_sold = await look.fetchval(STATUS, seat["id"]) == "sold"

    if not said_busy:
        if none_free.returned:
            exam.trap("larger")
        elif not slow_query:
            exam.trap("query")
        elif unopened.value == "busy":
            exam.trap("connect")
    elif none_free.seconds >= SOON:
        exam.trap("longer")
    elif not given or none_free.seconds < 0.25:
        exam.trap("at once")
    elif not slow_query:
        exam.trap("everything")
    elif gone[SOLD_MEANWHILE].returned and gone[SOLD_MEANWHILE].value is not None:
        exam.trap("sold again")
    elif not back:
        exam.trap("leak")
    elif not told and is_sold:
        exam.trap("release")
