"""Exercise 14: a seat map that survives a killed PostgreSQL, workers that do each job once, and a slow printer."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...servers.server import ROLE, SUPERUSER
from ...servers.stack import Stack
from . import attempt
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "14_listen_notify"
SOON = 3.0  # seconds; the tasks ask for one, and a machine may be busy


@contextlib.asynccontextmanager
async def _running(
    exam: Examination, *arguments: Any, deaf: list[Any] | None = None
) -> AsyncIterator[asyncio.Task[Any]]:
    """The learner's code as a task, which is cancelled afterwards, several times if need be: then it is one of the `deaf`."""

    async def call() -> Any:
        result = exam.code(*arguments)
        return await result if inspect.isawaitable(result) else result

    task = asyncio.ensure_future(call())
    try:
        yield task
    finally:
        for seconds in (2, *[0.2] * 9):
            task.cancel()
            await asyncio.wait({task}, timeout=seconds)
            if task.done():
                break
            if deaf is not None and task not in deaf:
                deaf.append(task)
        if task.done() and not task.cancelled():
            task.exception()  # looked at, or asyncio would complain


async def _until(
    condition: Callable[[], Any], seconds: float = SOON, task: asyncio.Task[Any] | None = None
) -> bool:
    """Whether it comes about in time; False at once if `task` ends without it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or (task and task.done()):
            return bool(condition())
        await asyncio.sleep(0.01)
    return True


async def _until_asked(look: Callable[[], Awaitable[Any]], seconds: float = SOON) -> bool:
    deadline = time.monotonic() + seconds
    while not await look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def _how(task: asyncio.Task[Any]) -> str:
    if not task.done():
        return "running"
    return (
        str(Outcome(error=task.exception()))
        if not task.cancelled() and task.exception()
        else "it had ended"
    )


async def _admin(stack: Stack) -> Any:
    return await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))


def _crash(stack: Stack) -> None:
    stack.postgres.kill()
    stack.postgres.start()


# Task 1: every seat once

SOLD = f"""
    create table sold (
        id bigint generated always as identity primary key,
        seat text not null,
        xact xid8 not null default pg_current_xact_id());
    grant all on sold to {ROLE};
    create function tell() returns trigger language plpgsql as $$
    begin
        perform pg_notify('sold', new.id::text);
        return null;
    end $$;
    create trigger tell after insert on sold for each row execute function tell()"""
SELL = "insert into sold (seat) values ($1)"
MANY_NUMBERS = (
    "select setval('sold_id_seq', nextval('sold_id_seq') + 5000)"  # were drawn, and rolled back
)
SESSIONS = f"select pid, state, query, query_start from pg_stat_activity where usename = '{ROLE}'"
QUIET = 1.5  # seconds without a sale; the task allows one query in two
PROMPT = 1.2  # seconds; one that asks every two is later, each time
TWICE = "B1"  # this seat is given back, and sold again


async def _seat_map(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        admin = await _admin(stack)
        await admin.execute(SOLD)
        await admin.executemany(SELL, [("A1",), ("A2",), ("A3",)])
        before: list[str] = []
        first = await exam.run(tap.dsn(), before.append, limit=QUIET)
        blocked = first.hung and first.seconds > QUIET + 0.9
        exam.criterion(
            "it runs until it is cancelled, and lets the rest of the program run",
            first.hung and not blocked,
            "nothing else could run" if blocked else "running" if first.hung else str(first),
        )
        exam.criterion(
            "what was sold before it began is delivered, once",
            sorted(before) == ["A1", "A2", "A3"],
            f"{', '.join(before) or 'nothing'} came",
        )
        if blocked:
            exam.trap("blocks")
            return
        if not first.hung:
            return

        async def gone() -> bool:
            return not await admin.fetch(SESSIONS)

        exam.criterion(
            "cancelled, it leaves no connection behind",
            await _until_asked(gone),
            f"{len(await admin.fetch(SESSIONS))} left",
        )
        await admin.execute("delete from sold")
        outcome = await attempt.run(_morning, exam, stack, tap, limit=60)
        if outcome.error:
            raise outcome.error
        if outcome.hung:
            exam.criterion("the rest of the program goes on", False, str(outcome))


async def _morning(exam: Examination, stack: Stack, tap: wire.Tap) -> None:
    """One morning of sales, with one PostgreSQL that dies twice."""
    shown: list[str] = []
    admin = await _admin(stack)
    tap.clear()
    async with _running(exam, tap.dsn(), shown.append) as task:
        await admin.execute(SELL, "B1")
        at_once = await _until(lambda: "B1" in shown, 10, task)
        prompt = False
        for seat in (
            "B2",
            "B3",
            "B4",
        ):  # each sold right after the one before was delivered: on a busy machine, one is enough
            begin = time.monotonic()
            await admin.execute(SELL, seat)
            at_once = at_once and await _until(lambda seat=seat: seat in shown, SOON, task)  # type: ignore[misc]
            prompt = at_once and time.monotonic() - begin < PROMPT
            if prompt or not at_once:
                break
        exam.criterion(
            "a seat is sold: it is delivered within a second",
            prompt,
            "delivered"
            if prompt
            else "delivered later, three times"
            if at_once
            else f"not delivered, {_how(task)}",
        )
        told = any(
            event.message in ("Parse", "Query") and event.text.lower().startswith("listen")
            for event in tap.events
        )
        exam.criterion(
            "PostgreSQL tells it of a sale", told, "it listens" if told else "it does not listen"
        )
        await admin.execute(SELL, TWICE)
        resold = await _until(lambda: shown.count(TWICE) > 1, SOON, task)
        exam.criterion(
            "a seat is given back, and sold again: it is delivered again",
            resold,
            "delivered" if resold else "not delivered",
        )

        asked: set[Any] = set()
        end = time.monotonic() + QUIET
        await asyncio.sleep(0.1)
        known = {(row["pid"], row["query_start"]) for row in await admin.fetch(SESSIONS)}
        while time.monotonic() < end:
            asked |= {
                (row["pid"], row["query_start"]) for row in await admin.fetch(SESSIONS)
            } - known
            await asyncio.sleep(0.02)
        exam.criterion(
            f"{QUIET:g} s without a sale: two queries at most",
            len(asked) <= 2,
            f"{len(asked)} seen",
        )

        till = await _admin(stack)
        transaction = till.transaction()
        await transaction.start()
        await till.execute(SELL, "C1")
        await admin.execute(MANY_NUMBERS)
        await admin.execute(SELL, "C2")
        early = await _until(lambda: "C2" in shown, SOON, task)
        await transaction.commit()
        late = await _until(lambda: "C1" in shown, SOON, task)
        exam.criterion(
            "C1 is stored long before C2, and committed after it: both are delivered",
            early and late,
            " and ".join(seat for seat in ("C1", "C2") if seat in shown) or "neither",
        )

        old = {row["pid"] for row in await admin.fetch(SESSIONS)}
        with tap.stalled():
            await asyncio.to_thread(_crash, stack)
            admin = await _admin(stack)
            await admin.executemany(SELL, [("D1",), ("D2",)])
        tap.delay(0.1)
        back = await _until_asked(lambda: _first_query(admin, old), 10)
        await admin.execute(SELL, "E1")
        fresh = await _until(lambda: "E1" in shown, SOON, task)
        tap.delay(0)
        missed = await _until(lambda: {"D1", "D2"} <= set(shown), SOON, task)
        exam.criterion(
            "PostgreSQL is killed, and seats are sold before it can reconnect: they are delivered",
            missed,
            "delivered"
            if missed
            else f"{len({'D1', 'D2'} - set(shown))} of 2 missing, {_how(task)}",
        )
        exam.criterion(
            "another one is sold while it reconnects: it is delivered",
            fresh,
            "delivered" if fresh else f"missing after {SOON:g} s, {_how(task)}",
        )

        await asyncio.to_thread(_crash, stack)
        admin = await _admin(stack)
        await admin.execute(SELL, "F1")
        again = await _until(lambda: "F1" in shown, 10, task)
        await admin.execute(SELL, "F2")
        again = again and await _until(lambda: "F2" in shown, SOON, task)
        exam.criterion(
            "and once more", again, "delivered" if again else f"not delivered, {_how(task)}"
        )
        alive = back and not task.done()
    twice = sorted({seat for seat in shown if shown.count(seat) > 1 + (seat == TWICE)})
    exam.criterion(
        "nothing is delivered twice",
        not twice,
        f"{', '.join(twice) or 'nothing'} came more than once",
    )
    if len(asked) > 2 or (at_once and not told):
        exam.trap("polls")
    elif early and not late:
        exam.trap("larger number")
    elif at_once and not alive:
        exam.trap("dead connection")
    elif alive and not missed:
        exam.trap("no catching up")
    elif missed and not fresh:
        exam.trap("gap")
    elif twice:
        exam.trap("twice")


async def _first_query(admin: Any, old: set[int]) -> bool:
    """Has a new session had the answer to its first query, whichever that was? On a slow wire the next one takes a while."""
    return any(
        row["pid"] not in old and row["state"] == "idle" and row["query"]
        for row in await admin.fetch(SESSIONS)
    )


# Task 2: every job once

JOBS, WORKERS = 300, 4
QUEUE = f"""
    create table jobs (id int primary key, done_at timestamptz);
    create table tickets (job_id int not null);
    grant all on jobs, tickets to {ROLE}"""
STORE = "insert into jobs select generate_series({}, {}); notify jobs"
TICKET = "insert into tickets values ($1)"
NOT_DONE = "select count(*) from jobs where done_at is null"
TAKE = "select id from jobs where done_at is null order by id limit 1 for update skip locked"


async def _queue(exam: Examination) -> None:
    outcome = await attempt.run(_jobs, exam, limit=60)
    if outcome.error:
        raise outcome.error
    if outcome.hung:
        exam.criterion("the rest of the program goes on", False, str(outcome))


async def _jobs(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        await admin.execute(QUEUE)
        cuts = {
            JOBS // 3: True,
            2 * JOBS // 3: False,
        }  # the job, and whether its ticket is stored already

        async def work(conn: Any, job: int) -> None:
            after = cuts.pop(job, None)
            if after is False:
                _crash(stack)
            await conn.execute(TICKET, job)
            if after:
                _crash(stack)

        holder, another = await _admin(stack), await _admin(stack)
        await admin.execute(STORE.format(1, 20))
        theirs = 0
        for conn in (
            holder,
            another,
        ):  # as a worker of another process does; ours, begun before, might be faster
            await conn.execute("begin")
            theirs = await conn.fetchval(TAKE)
        deaf: list[Any] = []
        async with contextlib.AsyncExitStack() as running:
            tasks = [
                await running.enter_async_context(
                    _running(exam, stack.postgres.dsn(), work, deaf=deaf)
                )
                for _ in range(WORKERS)
            ]
            meanwhile = await _until_left(stack, 2, 6)
            await another.execute(
                f"insert into tickets values ({theirs});"
                f"update jobs set done_at = now() where id = {theirs}; commit"
            )
            another.terminate()
            holder.terminate()
            freed = await _until_left(stack, 0, SOON + 2)
            await admin.execute("update jobs set done_at = now() where done_at is null")
            one = await _tickets(stack, 1, 20)
            if not cuts:
                raise AssertionError("a job that was not stored was done")
            await admin.execute(STORE.format(21, 20 + JOBS))
            done = await _until_left(stack, 0, 25)
            ended = [task for task in tasks if task.done()]
        two = await _tickets(stack, 21, 20 + JOBS)
    exam.criterion(
        "two of 20 jobs are held by others: the other 18 are done meanwhile",
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
        "they do" if not deaf else f"{len(deaf)} of {WORKERS} went on",
    )
    lost, twice = (one + two).count(0), sum(count > 1 for count in one + two)
    killed = 2 - len(cuts)
    exam.criterion(
        f"{JOBS} more, PostgreSQL is killed twice in the middle of one: all become done",
        done and killed == 2,
        "done"
        if done and killed == 2
        else f"killed {killed} times; {_how(ended[0]) if ended else 'some are left'}",
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


async def _until_left(stack: Stack, count: int, seconds: float) -> bool:
    """Asked on connections of its own, as PostgreSQL is killed meanwhile."""

    async def look() -> bool:
        with contextlib.suppress(
            OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
        ):
            conn = await _admin(stack)
            try:
                return bool(await conn.fetchval(NOT_DONE) <= count)
            finally:
                conn.terminate()
        return False

    return await _until_asked(look, seconds)


async def _tickets(stack: Stack, first: int, last: int) -> list[int]:
    conn = await _admin(stack)
    rows = await conn.fetch(
        """
        select count(job_id) from jobs left join tickets on job_id = id where id between $1 and $2 group by id""",
        first,
        last,
    )
    await conn.close()
    return [row["count"] for row in rows]


# Task 3: one slow printer

BROKEN_SEAT = "Z9"
SEATS = ["A1", "A2", BROKEN_SEAT, "A3", "A4", "A5"]


class _Printer:
    """Takes its time for A1: until somebody else could do something, or for two seconds."""

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.others_ran = threading.Event()
        self.busy = self.most = 0
        self.waited = True
        self._lock = threading.Lock()

    def __call__(self, seat: str) -> None:
        with self._lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        try:
            if seat == "A1":
                self.waited = self.others_ran.wait(2)
            time.sleep(0.03)
            if seat == BROKEN_SEAT:
                raise ValueError(f"no such seat: {seat}")
            self.printed.append(seat)
        finally:
            with self._lock:
                self.busy -= 1


async def _printing(exam: Examination) -> None:
    outcome = await attempt.run(_tickets_printed, exam, limit=30)
    if outcome.error:
        raise outcome.error
    if outcome.hung:
        exam.criterion("the rest of the program goes on", False, str(outcome))


async def _hears(conn: Any, admin: Any) -> tuple[bool, str]:
    heard: list[str] = []
    await conn.add_listener("tickets", lambda *arguments: heard.append(arguments[3]))
    await admin.execute("select pg_notify('tickets', 'B1')")
    hears = await _until(lambda: heard, SOON)
    return hears, "it hears" if hears else "asyncpg believed that it was listening still"


async def _tickets_printed(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        printer = _Printer()
        loop = asyncio.get_running_loop()
        before, complaints = loop.get_exception_handler(), 0

        def complain(*_: Any) -> None:
            nonlocal complaints
            complaints += 1

        async def listens() -> bool:
            return bool(
                await admin.fetchval(f"""select count(*) from pg_stat_activity
                where usename = '{ROLE}' and state = 'idle' and query ilike 'listen%'""")
            )

        loop.set_exception_handler(complain)
        try:
            deaf: list[Any] = []
            async with _running(exam, conn, printer, deaf=deaf) as task:
                await _until_asked(listens)
                for seat in SEATS:
                    await admin.execute("select pg_notify('tickets', $1)", seat)
                await _until(lambda: printer.busy, SOON, task)
                await asyncio.sleep(0.2)
                printer.others_ran.set()
                good = [seat for seat in SEATS if seat != BROKEN_SEAT]
                everything = await _until(lambda: len(printer.printed) >= len(good), SOON, task)
                how = _how(task)
            cancelled = task.done() and not deaf
        finally:
            loop.set_exception_handler(before)
        exam.criterion(
            "while one ticket is printed, the rest of the program goes on",
            printer.waited,
            "it went on" if printer.waited else "nothing else could run for 2 s",
        )
        exam.criterion("one ticket at a time", printer.most <= 1, f"{printer.most} at once")
        exam.criterion(
            "each is printed, but for the one that fails, in the order of the sales",
            printer.printed == good,
            f"{', '.join(printer.printed) or 'nothing'} printed, {how}",
        )
        closed = conn.is_closed()
        channels = (
            [] if closed else [row[0] for row in await conn.fetch("select pg_listening_channels()")]
        )
        exam.criterion(
            "cancelled, it ends, and the connection is open and listens no longer",
            cancelled and not closed and not channels,
            "it does not end"
            if not cancelled
            else "the connection was closed, and it is the caller's"
            if closed
            else "it still listens"
            if channels
            else "it listens no longer",
        )
        if cancelled and not closed:
            exam.criterion(
                "the caller listens to the same channel afterwards, and hears",
                *await _hears(conn, admin),
            )
        conn.terminate()
    if not printer.waited:
        exam.trap("on the loop")
    elif printer.most > 1:
        exam.trap("all at once")
    elif not everything:
        exam.trap("stops")


DRILL = Drill(
    name=NAME,
    title="Exercise 14: a seat map, a queue of jobs, and a printer",
    tasks=(
        Task(
            1,
            "every seat once",
            _seat_map,
            drill=NAME,
            hints=(
                "What happens to the connection when PostgreSQL is killed, and who is told? Where is what was sold meanwhile?",
                "The notification is lost, the row is not. A loop connects, listens, and only then reads the table; and reads "
                "it again "
                "at each notification. Two tills commit in another order than their numbers were drawn.",
                "Keep a set of the ids that were delivered. In a `while True`: connect, add_listener and "
                "add_termination_listener that "
                "both set an asyncio.Event; then clear it, read, deliver what is not in the set, wait for it (2 s at most). "
                "`finally: conn.terminate()`; after an error, a short sleep.",
            ),
            traps={
                "polls": "It asks the table from time to time, sold or not. With a hundred processes that is a load of its own.",
                "larger number": "C1 has the smaller number and came later: who remembers the largest number never sees it.",
                "dead connection": "PostgreSQL came back, and nobody connected to it. A connection that was closed stays "
                "closed, and listens "
                "to nothing.",
                "no catching up": "It listens again, and what was sold in between is missing: PostgreSQL keeps notifications "
                "for nobody.",
                "gap": "It reads, then it listens. What was sold between the two is missing until something else is sold.",
                "twice": "What had been delivered before was delivered again.",
                "blocks": "The event loop stood still: in this process, nobody is served meanwhile.",
            },
        ),
        Task(
            2,
            "every job once",
            _queue,
            drill=NAME,
            hints=(
                "For each pair of neighbouring lines: what is in the tables if PostgreSQL dies right there?",
                "The ticket and the mark belong into one transaction, and so does the lock on the job. A worker that dies sends no "
                "notification when its job becomes free.",
                "async with conn.transaction(): select … where done_at is null order by id limit 1 for update skip locked; "
                "work; mark. "
                "Again until there is none; then wait for the notification, for a second at most. Around it the loop of task 1.",
            ),
            traps={
                "marks first": "A job was marked, PostgreSQL died before its ticket was stored, and nobody will ever look at it "
                "again.",
                "done twice": "A ticket was stored, and the job could still be taken: the lock, or the mark, is of another "
                "transaction, or known to one process only.",
                "queues up": "One job was held by somebody, and all workers waited for it.",
                "never freed": "A job became free without a notification, because its worker died. Nobody looked.",
            },
        ),
        Task(
            3,
            "one slow printer",
            _printing,
            drill=NAME,
            hints=(
                "Where does a plain callback run, and what runs there besides?",
                "The callback may do no more than note the payload. Somebody else takes one after the other, and lives on when "
                "one fails.",
                "queue = asyncio.Queue(); the callback does queue.put_nowait(payload). Then, in a loop: await queue.get(), and "
                "await asyncio.to_thread(print_ticket, seat) in a try. remove_listener in finally.",
            ),
            traps={
                "on the loop": "The printer was called on the event loop: while it prints, the whole program stands still.",
                "all at once": "Several tickets went to the printer at the same time: a task or a thread for each.",
                "stops": "One ticket failed, and those behind it were never printed.",
            },
        ),
    ),
)
