"""One morning of sales in the seat map, with one PostgreSQL that dies twice."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from itertools import pairwise
from typing import Any

from ... import wire
from ...checking.connections import admin
from ...checking.examination import Examination, Running
from ...checking.waiting import until
from ...servers.server import ROLE
from ...servers.stack import Stack
from .ongoing import SOON, comes, crash, state

SELL = "insert into sold (seat) values ($1)"
MANY_NUMBERS = (
    "select setval('sold_id_seq', nextval('sold_id_seq') + 5000)"  # were drawn, and rolled back
)
# As after each restart of a busy server, all clients come at once.
FULL, ROOM_AGAIN = (f"alter role {ROLE} connection limit {limit}" for limit in (0, -1))
TOO_MANY = "53300"
SESSIONS = f"select pid, state, query, query_start from pg_stat_activity where usename = '{ROLE}'"
QUIET = 2.6  # seconds without a sale
OFTEN = 1.5  # seconds between two questions; the task allows one in two
ONE_QUESTION = 0.3  # seconds within which several queries are one
PROMPT = 1.2  # seconds; one that asks every two is later, each time
TWICE = "B1"  # this seat is given back, and sold again
MORNING = 60.0  # seconds; a right answer needs a quarter of them


async def morning(exam: Examination, stack: Stack, tap: wire.Tap) -> None:
    shown: list[str] = []
    tap.clear()
    running = exam.start(tap.dsn(), shown.append, limit=MORNING)
    try:
        await _sales(exam, stack, tap, running, shown)
    finally:
        await running.end()


async def _sales(
    exam: Examination, stack: Stack, tap: wire.Tap, running: Running, shown: list[str]
) -> None:
    look = await admin(stack)

    async def delivered(*seats: str, seconds: float = SOON) -> bool:
        what = f"{' and '.join(seats)} is delivered"
        return await comes(running, lambda: set(seats) <= set(shown), what, seconds)

    await look.execute(SELL, "B1")
    at_once = await delivered("B1", seconds=10)
    prompt = False
    # Each is sold right after the one before was delivered: on a busy machine, one is enough.
    for seat in ("B2", "B3", "B4"):
        begin = time.monotonic()
        await look.execute(SELL, seat)
        at_once = at_once and await delivered(seat)
        prompt = at_once and time.monotonic() - begin < PROMPT
        if prompt or not at_once:
            break
    late = "delivered later, three times"
    seen = late if at_once else f"not delivered, {await state(running)}"
    exam.criterion(
        "a seat is sold: it is delivered within a second",
        prompt,
        "delivered" if prompt else seen,
        timed=True,
    )
    told = any(
        event.message in ("Parse", "Query") and event.text.lower().startswith("listen")
        for event in tap.events
    )
    exam.criterion(
        "PostgreSQL tells it of a sale", told, "it listens" if told else "it does not listen"
    )
    await look.execute(SELL, TWICE)
    resold = await comes(running, lambda: shown.count(TWICE) > 1, f"{TWICE} is delivered again")
    exam.criterion(
        "a seat is given back, and sold again: it is delivered again",
        resold,
        "delivered" if resold else "not delivered",
    )
    asked = await _questions_of_a_quiet_time(look)
    pauses = [(later - one).total_seconds() for one, later in pairwise(asked)]
    often = any(pause < OFTEN for pause in pauses)
    exam.criterion(
        f"{QUIET:g} s without a sale: it asks at most once in two seconds",
        not often,
        f"asked again after {min(pauses):.1f} s" if often else f"asked {len(asked)} times",
    )

    till = await admin(stack)
    transaction = till.transaction()
    await transaction.start()
    await till.execute(SELL, "C1")
    await look.execute(MANY_NUMBERS)
    await look.execute(SELL, "C2")
    second = await delivered("C2")
    await transaction.commit()
    first = await delivered("C1")
    exam.criterion(
        "C1 is stored long before C2, and committed after it: both are delivered",
        second and first,
        " and ".join(seat for seat in ("C1", "C2") if seat in shown) or "neither",
    )

    old = {row["pid"] for row in await look.fetch(SESSIONS)}
    with tap.stalled():
        await asyncio.to_thread(crash, stack)
        look = await admin(stack)
        await look.execute(FULL)
        await look.executemany(SELL, [("D1",), ("D2",)])
    await until(lambda: _was_refused(tap) or running.done(), "it is refused a connection", 3)
    await look.execute(ROOM_AGAIN)
    tap.delay(0.1)
    back = await until(lambda: _first_query(look, old), "it has connected again", 10)
    await look.execute(SELL, "E1")
    fresh = await delivered("E1")
    tap.delay(0)
    missed = await delivered("D1", "D2")
    how = await state(running)
    exam.criterion(
        "PostgreSQL is killed, and seats are sold before it can reconnect: they are delivered",
        missed,
        "delivered" if missed else f"{len({'D1', 'D2'} - set(shown))} of 2 missing, {how}",
    )
    exam.criterion(
        "another one is sold while it reconnects: it is delivered",
        fresh,
        "delivered" if fresh else f"missing after {SOON:g} s, {how}",
    )

    await asyncio.to_thread(crash, stack)
    look = await admin(stack)
    await look.execute(SELL, "F1")
    again = await delivered("F1")  # the task asks for a second
    await look.execute(SELL, "F2")
    again = again and await delivered("F2")
    seen = "delivered" if again else f"not within {SOON:g} s, {await state(running)}"
    exam.criterion("and once more, soon after PostgreSQL is back", again, seen, timed=True)
    alive = back and not running.done()
    await running.end()
    twice = sorted({seat for seat in shown if shown.count(seat) > 1 + (seat == TWICE)})
    exam.criterion(
        "nothing is delivered twice",
        not twice,
        f"{', '.join(twice) or 'nothing'} came more than once",
    )
    if often or (at_once and not told):
        exam.trap("polls")
    elif second and not first:
        exam.trap("larger number")
    elif at_once and not alive:
        exam.trap("dead connection")
    elif alive and not missed:
        exam.trap("no catching up")
    elif missed and not fresh:
        exam.trap("gap")
    elif twice:
        exam.trap("twice")


async def _questions_of_a_quiet_time(look: Any) -> list[datetime]:
    """When it asks, by PostgreSQL's clock."""
    await asyncio.sleep(0.1)
    known = {(row["pid"], row["query_start"]) for row in await look.fetch(SESSIONS)}
    seen: set[Any] = set()
    end = time.monotonic() + QUIET - 0.1

    async def over() -> bool:
        seen.update({(row["pid"], row["query_start"]) for row in await look.fetch(SESSIONS)})
        return time.monotonic() > end

    await until(over, "the quiet time is over", QUIET + SOON)
    questions: list[datetime] = []
    for begin in sorted(begin for _, begin in seen - known):
        if not questions or (begin - questions[-1]).total_seconds() > ONE_QUESTION:
            questions.append(begin)
    return questions


def _was_refused(tap: wire.Tap) -> bool:
    return any(event.message == "ErrorResponse" and TOO_MANY in event.text for event in tap.events)


async def _first_query(look: Any, old: set[int]) -> bool:
    """Whether a new session has had the answer to its first query, whichever that was.

    On a slow wire the next one takes a while.
    """
    return any(
        row["pid"] not in old and row["state"] == "idle" and row["query"]
        for row in await look.fetch(SESSIONS)
    )
