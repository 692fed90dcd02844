"""Stretch: one bad job, which neither stops the workers nor keeps them busy."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from .queue_of_jobs import (
    JOB,
    QUEUE,
    locked,
    not_its_fault,
    store,
    stored_tickets,
    ticket,
    two_workers,
)

TITLE = "one bad job"

HINTS = (
    'Lesson 14, "Trap: one bad job stops all workers". If work fails on an SQL error, in which '
    "state is the transaction that has to store the failure?",
    "The job stays locked by the outer transaction; the work runs in a savepoint, which is a "
    "nested conn.transaction(). What is not the job's fault (a cancellation, a lost connection) "
    "is stored nowhere.",
    "async with conn.transaction(): take the job; try: async with conn.transaction(): await "
    "work(conn, job); except Exception as error: raise if conn.is_closed(), else update jobs set "
    "attempts = attempts + 1, last_error = repr(error), not_before = …; else: done_at.",
)

TRAPS = {
    "at once": "The job that failed was ready again at once. It has the smallest number, so the "
    "workers take it again and again, and no other.",
    "aborted": "After an SQL error, the transaction takes no statement but a rollback: the "
    "failure could not be stored, and the job was as ready as before.",
    "kept": "What the work had stored before it failed was committed.",
    "cancelled": "The work was cancelled, as at each deployment, and that was counted as a failure "
    "of the job.",
    "free meanwhile": "Between the rollback and the note, the job was free and ready: another "
    "worker takes it there.",
}

AGAIN = "update jobs set not_before = '-infinity' where id = $1"
# How long until the job is ready, in seconds after a moment; 'infinity' is None.
PAUSE = """
    select case when not_before < 'infinity' then extract(epoch from not_before - $2)::float end
    from jobs where id = $1"""
ABORTED = "25P02"
SLACK = 1.0  # seconds between the clocks of two processes of one machine


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        await look.execute(QUEUE)
        conn = await asyncpg.connect(tap.dsn())
        await two_workers(exam, stack, look, conn)
        await _failures(exam, look, conn, tap)
        await _pauses(exam, look, conn)
        await locked(exam, look, conn, tap)
        await not_its_fault(exam, look, conn, tap)


async def _fails(conn: Any, job: int) -> None:
    await ticket(conn, job)
    if job == 11:
        raise ValueError("no paper")
    if job == 12:
        await ticket(conn, job)  # a second one: the database refuses it
    if job == 13:
        await asyncio.wait_for(conn.execute("select pg_sleep(60)"), 0.2)


async def _failures(exam: Examination, look: Any, conn: Any, tap: wire.Tap) -> None:
    await store(look, conn, 11, 12, 13, 14)
    tap.clear()
    outcomes = []
    for _ in range(5):
        outcomes.append(await exam.run(conn, _fails))
        if outcomes[-1].hung:
            break
    results = [outcome.value if outcome.returned else str(outcome) for outcome in outcomes]
    exam.criterion(
        "11 to 13 fail, by Python, by SQL and by a timeout: each is tried once, and 14 is done",
        results == [11, 12, 13, 14, None],
        ", ".join(map(str, results)),
    )
    jobs = {job: await look.fetchrow(JOB, job) for job in (11, 12, 13, 14)}
    tickets = await stored_tickets(look)
    errors = {job: str(row["last_error"]) for job, row in jobs.items()}
    noted = all(jobs[job]["attempts"] == 1 and not jobs[job]["done"] for job in (11, 12, 13)) and (
        errors[11] == repr(ValueError("no paper"))
        and errors[12].startswith("UniqueViolationError(")
        and errors[13] == "TimeoutError()"
    )
    exam.criterion(
        "each failure is counted, with the error's repr, and nothing of the work is stored",
        noted and tickets == [14],
        f"tickets {tickets}; "
        + "; ".join(
            f"{job}: {jobs[job]['attempts']}, {_short(errors[job])}" for job in (11, 12, 13)
        ),
    )
    if set(tickets) & {11, 12, 13}:
        exam.trap("kept")
    elif results[:2] == [11, 11]:
        exam.trap("at once")
    elif jobs[11]["attempts"] == 1 and jobs[12]["attempts"] == 0 and _was_aborted(tap):
        exam.trap("aborted")


def _short(text: str) -> str:
    return text if len(text) <= 25 else f"{text[:24]}…"


def _was_aborted(tap: wire.Tap) -> bool:
    """Whether PostgreSQL has refused a statement because the transaction had failed before."""
    return any(event.message == "ErrorResponse" and ABORTED in event.text for event in tap.events)


async def _pauses(exam: Examination, look: Any, conn: Any) -> None:
    """Each time it is ready again only because the check says so."""
    await store(look, conn, 21)

    async def fails(conn: Any, job: int) -> None:
        raise LookupError("no such seat")

    seen: list[str] = []
    right = True
    for minutes in (1, 2, None):
        await look.execute(AGAIN, 21)
        before = await look.fetchval("select clock_timestamp()")
        outcome = await exam.run(conn, fails)
        took = await look.fetchval(
            "select extract(epoch from clock_timestamp() - $1)::float", before
        )
        pause = await look.fetchval(PAUSE, 21, before)
        if minutes is None:
            right = right and pause is None
        else:
            late = None if pause is None else pause - 60 * minutes
            right = right and late is not None and -SLACK <= late <= took + SLACK
        right = right and outcome.returned
        seen.append("forever" if pause is None else f"{max(0, round(pause / 60))} min")
        if not outcome.returned:
            seen[-1] = str(outcome)
    exam.criterion(
        "it rests a minute after its first failure, two after the second, and then forever",
        right,
        ", ".join(seen),
    )
