"""A queue, and what its workers must not do to each other: the stretch's first and last part."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import usable
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from ...servers.stack import Stack

QUEUE = f"""
    set lock_timeout = '5s';
    create table jobs (
        id int primary key, done_at timestamptz, attempts int not null default 0,
        not_before timestamptz not null default '-infinity', last_error text);
    create table tickets (job_id int primary key);
    grant all on jobs, tickets to {ROLE}"""
STORE = "insert into jobs select unnest($1::int[])"
TICKET = "insert into tickets values ($1)"
JOB = "select done_at is not null as done, attempts, last_error from jobs where id = $1"
READY = """
    select true from jobs where id = $1 and done_at is null and attempts = 0 and not_before <= now()
    for update skip locked"""
SLOW = 0.15  # seconds that each message takes, so that there is a moment between two statements


async def store(look: Any, conn: Any, *jobs: int) -> None:
    """These are the jobs now, and no others. What `conn` has left open is ended."""
    if not conn.is_closed() and conn.is_in_transaction():
        await conn.execute("rollback")
    await look.execute("truncate jobs, tickets")
    await look.execute(STORE, list(jobs))


async def stored_tickets(look: Any) -> list[int]:
    return [row[0] for row in await look.fetch("select job_id from tickets order by 1")]


async def ticket(conn: Any, job: int) -> None:
    await conn.execute(TICKET, job)


async def two_workers(exam: Examination, stack: Stack, look: Any, conn: Any) -> None:
    await store(look, conn, 1, 2)
    other = await asyncpg.connect(stack.postgres.dsn())
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def long(conn: Any, job: int) -> None:
        await ticket(conn, job)
        begun.set()
        await go_on.wait()

    first = exam.start(conn, long, limit=20)
    await until(lambda: begun.is_set() or first.done(), "its work has begun")
    second = await exam.run(other, ticket)
    none = await exam.run(other, ticket)
    go_on.set()
    outcomes = [await first, second, none]
    done = await look.fetchval("select count(done_at) from jobs")
    results = [outcome.value if outcome.returned else str(outcome) for outcome in outcomes]
    is_over, state = await usable(other)
    exam.criterion(
        "jobs 1 and 2, two workers: each does one, with one ticket; then there is None",
        results == [1, 2, None] and done == 2 and await stored_tickets(look) == [1, 2],
        f"{', '.join(map(str, results))}; {done} done, tickets {await stored_tickets(look)}",
    )
    exam.criterion(
        "when there is none, its connection is in no transaction",
        is_over,
        state if not is_over else "in none",
    )
    other.terminate()


async def locked(exam: Examination, look: Any, conn: Any, tap: wire.Tap) -> None:
    await store(look, conn, 31)
    failed = asyncio.Event()

    async def fails(conn: Any, job: int) -> None:
        await ticket(conn, job)
        tap.delay(SLOW)
        failed.set()
        raise LookupError("no such seat")

    running = exam.start(conn, fails, limit=10)
    await until(lambda: failed.is_set() or running.done(), "its work has failed")
    free = False

    async def ended() -> bool:
        nonlocal free
        free = free or bool(await look.fetchval(READY, 31))
        return running.done()

    await until(ended, "the failure is stored", 10)
    outcome = await running
    tap.delay(0)
    exam.criterion(
        "while a failure is stored, no other worker can take the job",
        outcome.value == 31 and not free,
        "another could" if free else "none could" if outcome.value == 31 else str(outcome),
    )
    attempts = await look.fetchval("select attempts from jobs")
    if free and attempts:
        exam.trap("free meanwhile")


async def not_its_fault(exam: Examination, look: Any, conn: Any, tap: wire.Tap) -> None:
    await store(look, conn, 41)
    begun = asyncio.Event()

    async def long(conn: Any, job: int) -> None:
        await ticket(conn, job)
        begun.set()
        await asyncio.Event().wait()

    running = exam.start(conn, long, limit=10)
    await until(lambda: begun.is_set() or running.done(), "its work has begun")
    ended = not running.done() and await running.end()
    after = await look.fetchrow(JOB, 41)
    can_go_on, state = await usable(conn)
    next_one = await exam.run(conn, ticket)
    counted = after["attempts"] > 0
    exam.criterion(
        "cancelled in its work, it ends, nothing is counted, and the next call does the job",
        ended and can_go_on and not counted and next_one.value == 41,
        f"{'ended' if ended else 'did not end'}, counted {after['attempts']}, "
        + (state if not can_go_on else f"then {next_one}"),
    )
    if counted:
        exam.trap("cancelled")

    await store(look, conn, 51)
    lost = await asyncpg.connect(tap.dsn())

    async def cut(conn: Any, job: int) -> None:
        await ticket(conn, job)
        with contextlib.suppress(asyncpg.PostgresError):
            await look.execute("select pg_terminate_backend($1, 5000)", conn.get_server_pid())
        await conn.execute("select 'the connection is lost'")

    outcome = await exam.run(lost, cut)
    next_one = await exam.run(conn, ticket)
    attempts = await look.fetchval("select attempts from jobs")
    exam.criterion(
        "its connection is lost: it raises, nothing is counted, and another worker does the job",
        outcome.error is not None and next_one.value == 51 and not attempts,
        f"{outcome if outcome.returned or outcome.hung else 'raised'}, counted {attempts}, then "
        f"{next_one}",
    )
    lost.terminate()
