"""Every job once: a queue for workers that lose PostgreSQL in the middle of a job."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from ...servers.stack import Stack
from .ongoing import SOON, crash, in_part, state

TITLE = "every job once"

HINTS = (
    "For each pair of neighbouring lines: what is in the tables if PostgreSQL dies right there?",
    "The ticket and the mark belong into one transaction, and so does the lock on the job. A "
    "worker that dies sends no notification when its job becomes free.",
    "async with conn.transaction(): select … where done_at is null order by id limit 1 for update "
    "skip locked; work; mark. Again until there is none; then wait for the notification, for a "
    "second at most. Around it the loop of task 1.",
)

TRAPS = {
    "marks first": "A job was marked, PostgreSQL died before its ticket was stored, and nobody "
    "will ever look at it again.",
    "done twice": "A ticket was stored, and the job could still be taken: the lock, or the mark, "
    "is of another transaction, or known to one process only.",
    "queues up": "One job was held by somebody, and all workers waited for it.",
    "never freed": "A job became free without a notification, because its worker died. Nobody "
    "looked.",
}

JOBS, WORKERS = 300, 4
SLOW = 7  # this job takes until the others are done
FREED = 4.0  # seconds; the task asks for two
QUEUE = f"""
    create table jobs (id int primary key, done_at timestamptz);
    create table tickets (job_id int not null);
    grant all on jobs, tickets to {ROLE}"""
STORE = "insert into jobs select generate_series({}, {}); notify jobs"
TICKET = "insert into tickets values ($1)"
TICKETS = """
    select count(job_id) from jobs left join tickets on job_id = id
    where id between $1 and $2 and done_at > 'epoch' group by id"""
LEFT_OVER = "update jobs set done_at = 'epoch' where done_at is null"  # nobody's work
NOT_DONE = "select count(*) from jobs where done_at is null"
TAKE = "select id from jobs where done_at is null order by id limit 1 for update skip locked"
ALL = 60.0  # seconds; a right answer needs a tenth of them


async def check(exam: Examination) -> None:
    await in_part(exam, _jobs, limit=ALL)


async def _jobs(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(QUEUE)
        # The job in which PostgreSQL is killed, and whether its ticket is stored already.
        cuts = {JOBS // 3: True, 2 * JOBS // 3: False}

        others_are_done = asyncio.Event()

        async def work(conn: Any, job: int) -> None:
            if job == SLOW:
                await others_are_done.wait()
            after = cuts.pop(job, None)
            if after is False:
                crash(stack)
            await conn.execute(TICKET, job)
            if after:
                crash(stack)

        holder, another = await admin(stack), await admin(stack)
        await look.execute(STORE.format(1, 20))
        theirs = 0
        # As a worker of another process does; ours, begun before, might be faster.
        for conn in (holder, another):
            await conn.execute("begin")
            theirs = await conn.fetchval(TAKE)
        dsn = stack.postgres.dsn()
        workers = [exam.start(dsn, work, limit=ALL) for _ in range(WORKERS)]
        ended = []
        try:
            meanwhile = await _left(stack, 3, 6)
            others_are_done.set()
            await _left(stack, 2, SOON)
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                await another.execute(
                    f"set lock_timeout = '2s'; insert into tickets values ({theirs});"
                    f"update jobs set done_at = now() where id = {theirs}; commit"
                )
            another.terminate()
            holder.terminate()
            freed = await _left(stack, 0, FREED)
            await look.execute(LEFT_OVER)
            one = await _tickets(stack, 1, 20)
            if not cuts:
                raise AssertionError("a job that was not stored was done")
            await look.execute(STORE.format(21, 20 + JOBS))
            done = await _left(stack, 0, 25)
            ended = [await state(worker) for worker in workers if worker.done()]
        finally:
            others_are_done.set()
            deaf = WORKERS - sum([await worker.end() for worker in workers])
        two = await _tickets(stack, 21, 20 + JOBS)
    exam.criterion(
        "of 20 jobs two are held by others, and one takes long: 17 are done meanwhile",
        meanwhile,
        "done" if meanwhile else "they were not",
    )
    exam.criterion(
        "one of the holders dies, and nobody notifies: its job is done",
        freed,
        "done" if freed else "it was not",
    )
    exam.criterion(
        "cancelled, they end",
        not deaf,
        "they do" if not deaf else f"{deaf} of {WORKERS} went on",
        timed=True,
    )
    lost, twice = (one + two).count(0), sum(count > 1 for count in one + two)
    killed = 2 - len(cuts)
    exam.criterion(
        f"{JOBS} more, PostgreSQL is killed twice in the middle of one: all become done",
        done and killed == 2,
        "done"
        if done and killed == 2
        else f"killed {killed} times; {ended[0] if ended else 'some are left'}",
    )
    exam.criterion(
        "no job is marked as done and has no ticket", not lost, f"{lost} of {len(one + two)} lost"
    )
    exam.criterion(
        "no job has two tickets", not twice, f"{twice} of {len(one + two)} done more than once"
    )
    if twice:
        exam.trap("done twice")
    elif not meanwhile:
        exam.trap("queues up")
    elif not freed:
        exam.trap("never freed")
    elif lost:
        exam.trap("marks first")


async def _left(stack: Stack, count: int, seconds: float) -> bool:
    """Whether so few jobs are left in time.

    Asked on separate connections, as PostgreSQL is killed meanwhile.
    """

    async def few() -> bool:
        with contextlib.suppress(
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
        ):
            conn = await admin(stack)
            try:
                return bool(await conn.fetchval(NOT_DONE) <= count)
            finally:
                conn.terminate()
        return False

    return bool(await until(few, f"{count} jobs are left", seconds))


async def _tickets(stack: Stack, first: int, last: int) -> list[int]:
    conn = await admin(stack)
    rows = await conn.fetch(TICKETS, first, last)
    await conn.close()
    return [row["count"] for row in rows]
