"""Exercise 02: a pool with settings that cost nothing, a box office that says "busy" in time, a shutdown that loses nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asyncpg

from .. import servers, timeline, wire
from ..servers.server import SUPERUSER
from . import attempt
from .attempt import Outcome
from .drill import Drill, Examination, Task

NAME = "02_pools"


async def _until(condition: Callable[[], Awaitable[Any]], seconds: float) -> None:
    """Wait for it, or until the time is up: what is seen then is what is reported."""
    deadline = time.monotonic() + seconds
    while not await condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


# Task 1: settings that stay and cost nothing

OFFICE, ZONE = "Tokyo office", "Asia/Tokyo"
BASKET = "select basket from orders where id = $1"
TIMES = 10
LEFT_BEHIND = "set timezone = 'UTC'; set application_name = 'left behind'; select pg_advisory_lock(2)"
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
Seen = tuple[bool, bool, bool]      # the zone, the name and the basket are as they should be


async def _settings(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        outcome = await exam.run(tap.dsn(), OFFICE, ZONE, limit=5)
        pool = outcome.value
        if not isinstance(pool, asyncpg.Pool):
            exam.criterion("a pool comes back", False, str(outcome))
            return
        exam.criterion("it is a pool of one to three connections", (pool.get_min_size(), pool.get_max_size()) == (1, 3),
                       f"{pool.get_min_size()} to {pool.get_max_size()}")
        try:
            outcome = await attempt.run(_use, exam, pool, tap, look, limit=20)
            if not outcome.returned:
                exam.criterion("the pool can be used", False, str(outcome))
        finally:
            pool.terminate()


async def _use(exam: Examination, pool: Any, tap: wire.Tap, look: Any) -> None:
    one_by_one = [await _request(pool) for _ in range(TIMES)]
    exam.criterion(f"{TIMES} requests, one after the other", all(map(all, one_by_one)), _counted(one_by_one))

    conns = [await pool.acquire(timeout=3) for _ in range(3)]
    at_once = [await _seen(conn) for conn in conns]
    for conn in conns:
        await pool.release(conn)
    exam.criterion("three at the same time", all(map(all, at_once)), _counted(at_once))

    found = await look.fetchval("select count(*) from pg_stat_activity where application_name = $1", OFFICE)
    exam.criterion("the administrator finds its idle sessions by name", found == 3, f"{found} of 3")

    await pool.execute(LEFT_BEHIND)
    async with pool.acquire() as conn:
        clean = all(await _seen(conn)) and not await conn.fetchval(LOCKS)
    exam.criterion("a request leaves a setting and a lock: the next one has neither", clean,
                   "neither" if clean else "the next one found them" if all(map(all, one_by_one)) else "not as it should be")

    await pool.fetchval(BASKET, 1)
    tap.clear()
    for _ in range(TIMES):
        await pool.fetchval(BASKET, 1)
    trips = tap.round_trips()
    exam.criterion(f"round trips of {TIMES} requests, the pool's reset included: {2 * TIMES} at most", trips <= 2 * TIMES,
                   f"{trips}")

    right = [zone and name for zone, name, _ in one_by_one]
    if right[0] and not any(right[1:]):
        exam.trap("once")
    elif all(right) and not clean:
        exam.trap("left")
    elif all(right) and trips > 2 * TIMES:
        exam.trap("codec" if any(event.message == "Parse" for event in tap.events) else "each time")


async def _request(pool: Any) -> Seen:
    async with pool.acquire(timeout=3) as conn:
        return await _seen(conn)


async def _seen(conn: Any) -> Seen:
    return (await conn.fetchval("show timezone") == ZONE, await conn.fetchval("show application_name") == OFFICE,
            isinstance(await conn.fetchval(BASKET, 1), dict))


def _counted(seen: list[Seen]) -> str:
    counts = [sum(column) for column in zip(*seen, strict=True)]
    if all(count == len(seen) for count in counts):
        return "zone, name and basket right in each"
    return ", ".join(f"{what} right in {count} of {len(seen)}" for what, count in zip(("zone", "name", "basket"), counts,
                                                                                   strict=True))


# Task 2: a box office that says "busy" in time

CONNECTIONS = 2
SOON = 0.9                  # seconds: 0.3 on a machine that is busy with other things
SEATS = "select id, price_cents from seats where event_id = 5 order by id"
STATUS = "select status::text from seats where id = $1"


async def _busy(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        outcome = await exam.run(tap.dsn(), limit=5)
        try:
            pool, sell = outcome.value
            assert isinstance(pool, asyncpg.Pool)
            assert callable(sell)
        except (TypeError, ValueError, AssertionError):
            exam.criterion("a pool and a function come back", False, str(outcome))
            return
        try:
            await _sell(exam, pool, sell, tap, admin)
        finally:
            pool.terminate()


async def _sell(exam: Examination, pool: Any, sell: Callable[..., Any], tap: wire.Tap, admin: Any) -> None:
    seats = iter(await admin.fetch(SEATS))

    async def sold(outcome: Outcome, seat: Any, what: str) -> bool:
        met: bool = outcome.returned and outcome.value == seat["price_cents"]
        is_sold = await admin.fetchval(STATUS, seat["id"]) == "sold"
        exam.criterion(what, met, "sold" if met else f"{_said(outcome)}; the seat is {'sold' if is_sold else 'free'}")
        return met

    seat = next(seats)
    if not await sold(await attempt.run(sell, seat["id"], limit=3), seat, "a connection is free: sold"):
        return

    seat = next(seats)
    held = [await pool.acquire(timeout=5) for _ in range(CONNECTIONS)]
    none_free = await attempt.run(sell, seat["id"], limit=1.6)
    said_busy = none_free.value == "busy"
    exam.criterion('both connections are taken: "busy", after 0.3 s', said_busy and 0.25 <= none_free.seconds < SOON,
                   f'"busy" after {none_free.seconds:.1f} s' if said_busy else _said(none_free))

    seat = next(seats)
    with timeline.record(pool) as line:
        waiting = asyncio.ensure_future(attempt.run(sell, seat["id"], limit=3))

        async def it_waits() -> bool:
            return bool(line.borrows) or waiting.done()

        await _until(it_waits, 1)
        await pool.release(held.pop())
        given = await sold(await waiting, seat, "one of them comes back while it waits: sold")
    for conn in held:
        await pool.release(conn)

    seat = next(seats)
    async with admin.transaction():
        await admin.fetchval("select id from seats where id = $1 for update", seat["id"])
        waiting = asyncio.ensure_future(attempt.run(sell, seat["id"], limit=6))

        async def it_waits_for_the_row() -> bool:
            return waiting.done() or bool(await admin.fetchval("select count(*) from pg_locks where not granted"))

        await _until(it_waits_for_the_row, 5)
        await asyncio.wait({waiting}, timeout=0.6)      # twice what it may wait for a connection
    slow_query = await sold(await waiting, seat, "the query waits for a row, for 0.6 s: sold")

    outcomes = [await attempt.run(sell, "A1", limit=3) for _ in range(3)]
    refused = sum(isinstance(outcome.error, asyncpg.DataError) for outcome in outcomes)
    back = pool.get_idle_size() == pool.get_size()
    exam.criterion('three requests for seat "A1", which is no id: the DataError arrives', refused == 3,
                   "it does" if refused == 3 else f"in {refused} of 3; {_said(outcomes[-1])}")
    exam.criterion("and every connection is back", back, "all are" if back else
                   f"{pool.get_idle_size()} of {pool.get_size()} are")

    unopened = Outcome()
    told = is_sold = True
    if back:
        await pool.expire_connections()
        seat = next(seats)
        with tap.stalled():
            unopened = await attempt.run(sell, seat["id"], limit=1.2)
        met = unopened.value == "busy" and unopened.seconds < SOON
        exam.criterion('a connection has to be opened, and PostgreSQL does not answer: "busy", after 0.3 s', met,
                       _said(unopened))

        await attempt.run(sell, next(seats)["id"], limit=5)     # opens one
        seat = next(seats)
        tap.delay(0.25)
        outcome = await attempt.run(sell, seat["id"], limit=8)
        tap.delay(0)
        told = await sold(outcome, seat, "a network with 0.5 s for each round trip: sold")
        is_sold = await admin.fetchval(STATUS, seat["id"]) == "sold"

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
    elif not back:
        exam.trap("leak")
    elif not told and is_sold:
        exam.trap("release")


def _said(outcome: Outcome) -> str:
    return f'"{outcome.value}" came back' if isinstance(outcome.value, str) else str(outcome)


# Task 3: a shutdown that loses nobody

PAY = """insert into payments (order_id, amount_cents, method)
         select $1, 1700, 'transfer' from pg_sleep(0.2)"""
SESSIONS = "select count(*) from pg_stat_activity where application_name = $1"
GRACE = 0.7                 # seconds more than its patience that a shutdown may take


async def _shutdown(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))

        async def shut_down(scene: str, connections: int, patience: float, payments: int = 0, endless: bool = False,
                            lost: bool = False, error: bool = False) -> tuple[Outcome, int, int]:
            """What came of it, how many payments had ended well by then, and how many sessions are left."""
            pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=connections,
                                             server_settings={"application_name": scene})
            kept = await pool.acquire() if lost else None
            tasks = [asyncio.ensure_future(_fails(pool))] if error else []     # first in the queue: the payments end later
            tasks += [asyncio.ensure_future(_pay(pool, number)) for number in range(1, payments + 1)]
            tasks += [asyncio.ensure_future(_never_ends(pool))] if endless else []
            if tasks:
                async def they_are_at_it() -> bool:
                    return bool(pool.get_idle_size() == 0)
                await _until(they_are_at_it, 5)
            outcome = await exam.run(pool, set(tasks), patience, limit=patience + 1.5)
            paid = sum(map(_ended_well, tasks))     # now, when the process would end

            async def they_are_gone() -> bool:
                return not await look.fetchval(SESSIONS, scene)

            await _until(they_are_gone, 1)
            left = await look.fetchval(SESSIONS, scene)
            await _tidy(pool, tasks)
            del kept
            return outcome, paid, left

        quiet, _, left = await shut_down("quiet", 2, 1.5)
        exam.criterion("nobody is there: closed at once", quiet.returned and quiet.seconds < 1 and not left,
                       _told(quiet, 1, left))

        before = await look.fetchval("select count(*) from payments")
        queue, paid, left = await shut_down("queue", 1, 2.5, payments=3)
        new = await look.fetchval("select count(*) from payments") - before
        exam.criterion("three customers pay, two of them wait for a connection: all three have paid by then", paid == 3,
                       f"{paid} of 3" + ("" if queue.returned else f"; {queue}"))
        exam.criterion("what they are told is true", new == paid, f"{new} new payments")
        exam.criterion("and then it is closed", queue.returned and queue.seconds < 2.5 and not left, _told(queue, 2.5, left))

        beside, paid_beside, left = await shut_down("error", 1, 2.5, payments=2, error=True)
        exam.criterion("one request ends with an error of its own, two pay after it: both have paid by then",
                       beside.returned and paid_beside == 2 and not left,
                       f"{paid_beside} of 2" + ("" if beside.returned and not left else f"; {_told(beside, 2.5, left)}"))

        lost, _, left = await shut_down("lost", 1, 0.6, lost=True)
        exam.criterion("a connection was never given back: closed when the patience ends",
                       lost.returned and 0.5 <= lost.seconds < 0.6 + GRACE and not left,
                       "it was not waited for" if lost.seconds < 0.5 else _told(lost, 0.6 + GRACE, left))
        left_open = left

        both, paid_too, left = await shut_down("endless", 3, 1, payments=1, endless=True, lost=True)
        exam.criterion("and a request that never ends, beside one that pays: the same",
                       both.returned and both.seconds < 1 + GRACE and not left and paid_too == 1,
                       _told(both, 1 + GRACE, left) + ("" if paid_too else ", and nobody has paid"))

        if lost.hung:
            exam.trap("forever")
        elif paid == 0:
            exam.trap("cut")
        elif paid < 3:
            exam.trap("queue")
        elif paid_beside < 2:
            exam.trap("an error")
        elif quiet.seconds >= 1:
            exam.trap("sleeps")
        elif left_open:
            exam.trap("left")
        elif both.returned and both.seconds >= 1 + GRACE:
            exam.trap("twice")


async def _pay(pool: Any, order: int) -> None:
    async with pool.acquire() as conn:
        await conn.execute(PAY, order)


async def _fails(pool: Any) -> None:
    async with pool.acquire() as conn:
        await conn.execute("select 1 / 0")


async def _never_ends(pool: Any) -> None:
    async with pool.acquire():
        await asyncio.Event().wait()


def _ended_well(task: asyncio.Future[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _tidy(pool: Any, tasks: Iterable[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    pool.terminate()


def _told(outcome: Outcome, limit: float, left: int) -> str:
    if not outcome.returned:
        return str(outcome)
    took = "in time" if outcome.seconds < limit else f"after {outcome.seconds:.1f} s"
    return took + (f", with {left} session{'s' if left > 1 else ''} left open" if left else "")


DRILL = Drill(NAME, "Exercise 02: the pool of a ticket office", (
    Task(1, "settings that stay, at no query", _settings, drill=NAME, hints=(
        "Print `show timezone` in the first and in the second request on one connection. What does the pool send in between?",
        "The reset at each release takes settings back to what they were when the session began. A codec lives in the client, "
        "and no reset touches it.",
        "create_pool(server_settings={…}) gives the zone and the name to each session when it begins. The codec stays where "
        "it is.",
    ), traps={
        "once": "The first request on a connection has the settings, and the second has not: they were set after the session had "
                "begun, and the reset at the release took them away.",
        "each time": "The settings are right, and each request pays for them with a round trip of its own.",
        "codec": "The settings are right. But the codec is registered at each request, and asyncpg then prepares every query "
                 "anew.",
        "left": "The settings stay, and so does what a request leaves behind: the next one had its time zone, and nobody lets "
                "its lock go.",
    }),
    Task(2, 'a box office that says "busy" in time', _busy, drill=NAME, hints=(
        "Lesson 02 has a table of four timeouts. Which of them runs while a request waits for a connection?",
        "Only the wait for a connection may end in \"busy\". A query may be slow, an error has to arrive, and a release may take "
        "its time: whoever has bought a seat has bought it.",
        "conn = await pool.acquire(timeout=0.3), alone in its try; then try … finally with pool.release(conn, timeout=…), since "
        "the limit of the acquire is also that of the release.",
    ), traps={
        "connect": "The wait for a free connection has no end. What has a limit is the opening of a new one.",
        "query": "The wait for a free connection has no end. What has a limit is the query, and a slow one is cut off.",
        "larger": "More connections were opened. The box office has two; the next rush takes three.",
        "longer": "The limit is larger. The customer waits longer for the same answer.",
        "at once": "It said \"busy\" without waiting, and a connection came back a moment later.",
        "everything": "The limit covers the query, too: who had a connection and a slow query was told \"busy\", or got a "
                      "TimeoutError.",
        "leak": "Requests that failed did not give their connections back.",
        "release": "The seat is sold, and the customer was told something else: the limit of acquire() is also the limit of the "
                   "release.",
    }),
    Task(3, "a shutdown that loses nobody", _shutdown, drill=NAME, hints=(
        "Lesson 02, \"close() never ends\": whom does close() wait for, and whom not?",
        "Two things have to end within one limit: the requests, those in the queue included, and close(). Who is late may be "
        "cut off. (asyncio.wait() refuses an empty set.)",
        "async with asyncio.timeout(patience): wait for the requests, then await pool.close(). On TimeoutError cancel the "
        "requests that are left, and terminate the pool.",
    ), traps={
        "forever": "It waits for a connection that nobody will give back. Neither the garbage collector nor close() brings it.",
        "cut": "Nobody was waited for. PostgreSQL went on with the payment under way all the same, and its customer was told of "
               "an error.",
        "queue": "close() waits for connections that are out. The requests in the queue got a connection, and it was closed "
                 "under them, or they got none.",
        "an error": "One request ended with an error of its own, and the others lost their connections for it: the first error "
                    "ended the waiting for all.",
        "left": "The patience was over, and the pool was left as it was: its sessions are still open.",
        "sleeps": "It takes its whole patience even when nobody is there.",
        "twice": "The patience was spent twice: once on the requests, once more on close().",
    }),
))
