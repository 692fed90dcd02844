"""Closed browsers and a full pool: a report that ends when its client has gone, and 503 in time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.stack import Stack
from .serving import LIMIT, POOL_SIZE, SESSIONS, Answer, Client, counted, is_deaf, served

TITLE = "closed browsers and a full pool"

HINTS = (
    "Who tells the function that its client has gone? What does each of the three addresses wait "
    "for?",
    "Two things have to be waited for at the same time: the query and the message "
    "http.disconnect. acquire() has a timeout. Only one of live and ready may depend on "
    "PostgreSQL.",
    "asyncio.wait({query, leaving}, return_when=asyncio.FIRST_COMPLETED), where leaving reads "
    'request.receive() until its type is "http.disconnect"; finally cancel both, wait for both, '
    "release.",
)

TRAPS = {
    "runs on": "The client has gone, and PostgreSQL works on for nobody.",
    "ends all": "The report of a client that was still waiting was ended, too.",
    "waits forever": "The pool was full, and the client heard nothing, or heard it too late.",
    "leaks": "After a client had gone, its connection did not come back to the pool.",
    "restarts all": "live asked PostgreSQL. When that is down for a moment, the orchestrator "
    "restarts every process.",
}

REPORT = """
    create function report() returns bigint language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(16);
        return (select count(*) from seats where status = 'sold');
    end $$"""
PATIENCE = 0.3  # of the half second
TAKES = 3.0  # seconds: a report
FAILS = """
    create or replace function report() returns bigint language plpgsql as $$
    begin
        return 1 / 0;
    end $$"""
HOLD, LET_GO = "select pg_advisory_lock(16)", "select pg_advisory_unlock_all()"
RUNNING = f"{SESSIONS} wait_event = 'advisory'"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(REPORT)
        async with served(exam, stack) as ask:
            if not ask or is_deaf(exam, await ask("GET", "/live")):
                return
            trap = await _reports(exam, look, ask)
            look.terminate()
            lives = await _health(exam, stack, ask)
    if trap:
        exam.trap(trap)
    elif not lives:
        exam.trap("restarts all")


async def _reports(exam: Examination, look: Any, ask: Client) -> str:
    """The trap that the reports have fallen into, or nothing."""

    async def running(count: int) -> bool:
        return bool(await look.fetchval(RUNNING) == count)

    async def few_run() -> bool:
        return await running(0) or await running(1)

    def report(limit: float = LIMIT) -> asyncio.Task[Answer]:
        return asyncio.create_task(ask("GET", "/report", limit=limit))

    other = Client(exam, *ask.urls)  # its headers are not those of the report
    await look.execute(HOLD)
    asked = time.monotonic()
    patient = report(4 * LIMIT)
    await until(lambda: running(1), "one report runs", LIMIT)
    leaving = report(4 * LIMIT)
    both = await until(lambda: running(2), "two reports run", LIMIT)
    begun = time.monotonic()
    asking = asyncio.create_task(other("GET", "/ready"))
    full = await ask("GET", "/report")
    took, later = time.monotonic() - begun, ask.headers.get("retry-after")
    told = full == 503
    is_ready = await asking
    leaving.cancel()
    await asyncio.wait({leaving})
    ended = await until(few_run, "the query of the client that has gone ends", 3)
    await asyncio.sleep(max(0.0, asked + TAKES - time.monotonic()))
    still = await running(1) or await running(2)
    await look.execute(LET_GO)
    answer = await patient
    await other.http.aclose()
    exam.criterion("two reports run at once", both, "they did" if both else "they did not")
    exam.criterion(
        "no connection is free: 503 soon, and not before half a second",
        told and took >= PATIENCE and exam.in_time(took, LIMIT),
        f"{full}, {'at once' if took < PATIENCE else 'after a while'}",
    )
    if told:
        exam.criterion("503 comes with Retry-After", bool(later), f"Retry-After: {later}")
    exam.criterion(
        "no connection is free: ready answers all the same",
        not isinstance(is_ready, str),
        f"{is_ready}",
    )
    exam.criterion("the client has gone: its query ends", ended, "ended" if ended else "it runs on")
    exam.criterion(
        f"another one waits for its report, which takes {TAKES:g} s: 200",
        answer == 200,
        f"{answer}",
    )

    await look.execute(HOLD)
    two = [report() for _ in range(POOL_SIZE)]
    again = await until(lambda: running(POOL_SIZE), "two reports run again", 2)
    third, begun = report(), time.monotonic()
    await asyncio.wait({third}, timeout=0.2)
    await look.execute(LET_GO)
    late = time.monotonic() > begun + PATIENCE  # on a machine that busy, 503 is right
    answers, soon = [await task for task in two], await third
    if again:
        exam.criterion(
            "a connection comes free in time: 200", soon == 200 or (soon == 503 and late), f"{soon}"
        )
    exam.criterion(
        "afterwards, two reports run at once again",
        again and set(answers) == {200},
        counted(answers),
    )
    await look.execute(FAILS)
    failed = await ask("GET", "/report")
    exam.criterion("report() raises an error: 500", failed == 500, f"{failed}")
    if both and not still and answer != 200:
        return "ends all"
    if both and not told:
        return "waits forever"  # and may then get a connection for a client that has gone
    if both and not ended:
        return "runs on"
    if both and not again:
        return "leaks"
    return ""


async def _health(exam: Examination, stack: Stack, ask: Client) -> bool:
    """Whether it says that it lives while PostgreSQL is down."""

    async def answers() -> dict[str, Answer]:
        return {path: await ask("GET", path) for path in ("/live", "/ready")}

    up = await answers()
    with stack.postgres.down():
        down = await answers()
        refused = await ask("GET", "/report")
    back = await answers()
    exam.criterion(
        "PostgreSQL is up: live and ready are 200, and again after it was down",
        set(up.values()) == set(back.values()) == {200},
        f"{counted([*up.values(), *back.values()])}",
    )
    exam.criterion(
        "it is down: live is 200, ready is 503",
        down == {"/live": 200, "/ready": 503},
        f"live {down['/live']}, ready {down['/ready']}",
    )
    exam.criterion("it is down: a report is 503", refused == 503, f"{refused}")
    return down["/live"] == 200
