"""More answers to exercise 14, written from its statement alone: ANSWERS."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any

import asyncpg

GONE = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


# Task 1


async def all_rows_and_a_set(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()
    while True:
        try:
            conn = await asyncpg.connect(dsn, timeout=5)
        except (*GONE, asyncpg.InternalClientError):
            await asyncio.sleep(0.1)
            continue
        try:
            news: asyncio.Queue[Any] = asyncio.Queue()
            await conn.add_listener("sold", lambda *_, news=news: news.put_nowait("sold"))
            conn.add_termination_listener(lambda _, news=news: news.put_nowait("gone"))
            news.put_nowait("sold")
            while await news.get() == "sold":
                rows = await conn.fetch(
                    "select id, seat from sold where id <> all($1::bigint[])", list(seen)
                )
                for row in rows:
                    seen.add(row["id"])
                    deliver(row["seat"])
        except GONE:
            await asyncio.sleep(0.05)
        finally:
            with contextlib.suppress(Exception):
                await conn.close(timeout=1)


class Watcher:
    """Knows up to which transaction everything is over, and what was delivered since."""

    def __init__(self, dsn: str, deliver: Any) -> None:
        self.dsn, self.deliver = dsn, deliver
        self.horizon, self.since = "0", set[int]()

    async def look(self, conn: Any) -> None:
        rows = await conn.fetch(
            """select s.id, s.seat, s.xact::text, pg_snapshot_xmin(pg_current_snapshot())::text low
            from (select 1) one left join sold s on s.xact >= $1::text::xid8""",
            self.horizon,
        )
        low = rows[0]["low"]
        still = set()
        for row in rows:
            if row["id"] is None:
                continue
            if row["id"] not in self.since:
                self.deliver(row["seat"])
            if int(row["xact"]) >= int(low):
                still.add(row["id"])
            self.since.add(row["id"])
        self.since, self.horizon = still, low

    async def once(self) -> None:
        conn = await asyncpg.connect(self.dsn)
        try:
            rung = asyncio.Event()
            await conn.add_listener("sold", lambda *_: rung.set())
            conn.add_termination_listener(lambda *_: rung.set())
            while not conn.is_closed():
                rung.clear()
                await self.look(conn)
                await rung.wait()
        finally:
            conn.terminate()

    async def run(self) -> None:
        pause = 0.05
        while True:
            try:
                await self.once()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
            except asyncpg.InternalClientError:
                pass
            await asyncio.sleep(pause)


async def in_a_class(dsn: str, deliver: Any) -> None:
    await Watcher(dsn, deliver).run()


def watching(
    *,
    by_seat: bool = False,
    reads_first: bool = False,
    keeps_seen: bool = True,
    dedupes: bool = True,
    patience: float | None = None,
    pause: float = 0.1,
    catches: Any = (
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ),
    after_id: bool = False,
    after_xact: bool = False,
    closes: bool = True,
    obeys: bool = True,
    catches_up: bool = True,
    listens: bool = True,
    notices_loss: bool = True,
) -> Any:
    async def watch(dsn: str, deliver: Any) -> None:
        seen: set[Any] = set()
        last_id, last_xact, rounds = 0, "0", 0
        while True:
            conn: Any = None
            try:
                conn = await asyncpg.connect(dsn)
                news = asyncio.Event()
                rounds += 1
                if not keeps_seen:
                    seen.clear()
                if listens and not reads_first:
                    await conn.add_listener("sold", lambda *_, news=news: news.set())
                if notices_loss:
                    conn.add_termination_listener(lambda *_, news=news: news.set())
                started = rounds > 1 and not catches_up
                while not conn.is_closed():
                    news.clear()
                    rows = await conn.fetch(
                        """select id, seat, xact::text from sold
                        where id > $1 and xact > $2::text::xid8""",
                        last_id if after_id else 0,
                        last_xact if after_xact else "0",
                    )
                    for row in rows:
                        key = row["seat"] if by_seat else row["id"]
                        if not (dedupes and key in seen) and not started:
                            deliver(row["seat"])
                        seen.add(key)
                        last_id = max(last_id, row["id"])
                        last_xact = str(max(int(last_xact), int(row["xact"])))
                    started = False
                    if listens and reads_first:
                        await conn.add_listener("sold", lambda *_, news=news: news.set())
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), patience)
            except catches:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                if obeys or rounds > 3:
                    raise
            finally:
                if conn and closes:
                    conn.terminate()

    return watch


def named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


by_configuration = named("by_configuration", watching())
with_a_slow_poll = named("with_a_slow_poll", watching(patience=5))
seats_are_known = named("seats_are_known", watching(by_seat=True))
reads_before_it_listens = named("reads_before_it_listens", watching(reads_first=True))
forgets_when_it_connects = named("forgets_when_it_connects", watching(keeps_seen=False))
each_row_each_time = named("each_row_each_time", watching(dedupes=False))
polls = named("polls", watching(listens=False, patience=0.5))
polls_too = named("polls_too", watching(patience=0.8))
returns_after_five_seconds = named("returns_after_five_seconds", watching(pause=5))
only_the_broken_connection = named(
    "only_the_broken_connection",
    watching(catches=(ConnectionError, asyncpg.ConnectionDoesNotExistError)),
)
after_the_last_id = named("after_the_last_id", watching(after_id=True))
after_the_last_transaction = named("after_the_last_transaction", watching(after_xact=True))
leaves_its_connection = named("leaves_its_connection", watching(closes=False))
goes_on_when_cancelled = named("goes_on_when_cancelled", watching(obeys=False))
forgets_what_it_missed = named("forgets_what_it_missed", watching(catches_up=False))
does_not_notice = named("does_not_notice", watching(notices_loss=False))


async def two_connections(dsn: str, deliver: Any) -> None:
    """The one that listens is closed at the end; the one that reads is not."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    inner = watching()

    async def keep() -> None:
        await pool.fetchval("select 1")

    await keep()
    await inner(dsn, deliver)


async def last_thousand(dsn: str, deliver: Any) -> None:
    """By the id, a hundred back: what commits later than a hundred others is lost."""
    seen: set[int] = set()
    last = 0
    while True:
        conn: Any = None
        with contextlib.suppress(*GONE, asyncpg.InternalClientError):
            try:
                conn = await asyncpg.connect(dsn)
                news = asyncio.Event()
                await conn.add_listener("sold", lambda *_, news=news: news.set())
                conn.add_termination_listener(lambda *_, news=news: news.set())
                while not conn.is_closed():
                    news.clear()
                    for number, seat in await conn.fetch(
                        "select id, seat from sold where id > $1 order by id", last - 3
                    ):
                        if number not in seen:
                            deliver(seat)
                        seen.add(number)
                        last = max(last, number)
                    await news.wait()
            finally:
                if conn:
                    conn.terminate()
        await asyncio.sleep(0.1)


async def the_payload_only(dsn: str, deliver: Any) -> None:
    """The seat of each notification, by its id; and all rows when it connects."""
    seen: set[int] = set()
    while True:
        with contextlib.suppress(*GONE, asyncpg.InternalClientError):
            conn = await asyncpg.connect(dsn)
            try:
                numbers: asyncio.Queue[int | None] = asyncio.Queue()
                await conn.add_listener(
                    "sold", lambda *a, numbers=numbers: numbers.put_nowait(int(a[3]))
                )
                conn.add_termination_listener(lambda _, numbers=numbers: numbers.put_nowait(None))
                for number, seat in await conn.fetch("select id, seat from sold"):
                    if number not in seen:
                        seen.add(number)
                        deliver(seat)
                while (number := await numbers.get()) is not None:
                    if number not in seen:
                        seat = await conn.fetchval("select seat from sold where id = $1", number)
                        seen.add(number)
                        deliver(seat)
            finally:
                conn.terminate()
        await asyncio.sleep(0.1)


# Task 2

FREE = """
    select id from jobs where done_at is null order by id limit 1 for update skip locked"""
DONE = "update jobs set done_at = now() where id = $1"


@contextlib.asynccontextmanager
async def connection(dsn: str) -> Any:
    conn = await asyncpg.connect(dsn)
    try:
        yield conn
    finally:
        conn.terminate()


def reconnecting(serve: Any) -> Any:
    """A worker that serves on one connection after the other."""

    async def worker(dsn: str, work: Any) -> None:
        while True:
            with contextlib.suppress(
                OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
            ):
                async with connection(dsn) as conn:
                    await serve(conn, work)
            await asyncio.sleep(0.1)

    return named(serve.__name__, worker)


@reconnecting
async def locked_in_a_transaction(conn: Any, work: Any) -> None:
    bell = asyncio.Event()
    await conn.add_listener("jobs", lambda *_: bell.set())
    conn.add_termination_listener(lambda *_: bell.set())
    while True:
        bell.clear()
        async with conn.transaction():
            job = await conn.fetchval(FREE)
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), 1)


@reconnecting
async def advisory_locks(conn: Any, work: Any) -> None:
    while True:
        found = False
        for row in await conn.fetch("select id from jobs where done_at is null order by id"):
            async with conn.transaction():
                if not await conn.fetchval("select pg_try_advisory_xact_lock($1)", row["id"]):
                    continue
                if await conn.fetchval("select done_at from jobs where id = $1", row["id"]):
                    continue
                try:
                    await conn.fetchval(
                        "select id from jobs where id = $1 for update nowait", row["id"]
                    )
                except asyncpg.LockNotAvailableError:
                    pass
                else:
                    await work(conn, row["id"])
                    await conn.execute(DONE, row["id"])
                    found = True
                    continue
                await conn.execute("select 1")
        if not found:
            await asyncio.sleep(0.3)


@reconnecting
async def nowait_one_by_one(conn: Any, work: Any) -> None:
    while True:
        for row in await conn.fetch("select id from jobs where done_at is null order by random()"):
            with contextlib.suppress(asyncpg.LockNotAvailableError):
                async with conn.transaction():
                    if await conn.fetchval(
                        "select id from jobs where id = $1 and done_at is null for update nowait",
                        row["id"],
                    ):
                        await work(conn, row["id"])
                        await conn.execute(DONE, row["id"])
        await asyncio.sleep(0.5)


@reconnecting
async def done_first_in_a_transaction(conn: Any, work: Any) -> None:
    while True:
        async with conn.transaction():
            job = await conn.fetchval(
                f"update jobs set done_at = now() where id = ({FREE}) returning id"
            )
            if job is not None:
                await work(conn, job)
        if job is None:
            await asyncio.sleep(0.2)


@reconnecting
async def without_a_transaction(conn: Any, work: Any) -> None:
    while True:
        job = await conn.fetchval(FREE)
        if job is None:
            await asyncio.sleep(0.2)
        else:
            await work(conn, job)
            await conn.execute(DONE, job)


@reconnecting
async def done_in_a_second_transaction(conn: Any, work: Any) -> None:
    while True:
        async with conn.transaction():
            job = await conn.fetchval(FREE)
            if job is not None:
                await work(conn, job)
        if job is None:
            await asyncio.sleep(0.2)
        else:
            await conn.execute(DONE, job)


@reconnecting
async def waits_for_the_first(conn: Any, work: Any) -> None:
    while True:
        async with conn.transaction():
            job = await conn.fetchval(FREE.replace(" skip locked", ""))
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            await asyncio.sleep(0.2)


@reconnecting
async def advisory_lock_and_no_second_look(conn: Any, work: Any) -> None:
    while True:
        for row in await conn.fetch("select id from jobs where done_at is null order by id"):
            if await conn.fetchval("select pg_try_advisory_lock($1)", row["id"]):
                try:
                    async with conn.transaction():
                        await work(conn, row["id"])
                        await conn.execute(DONE, row["id"])
                finally:
                    await conn.execute("select pg_advisory_unlock($1)", row["id"])
        await asyncio.sleep(0.2)


@reconnecting
async def listens_only(conn: Any, work: Any) -> None:
    bell = asyncio.Event()
    await conn.add_listener("jobs", lambda *_: bell.set())
    conn.add_termination_listener(lambda *_: bell.set())
    while not conn.is_closed():
        bell.clear()
        async with conn.transaction():
            job = await conn.fetchval(FREE)
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            await bell.wait()


@reconnecting
async def looks_every_five_seconds(conn: Any, work: Any) -> None:
    bell = asyncio.Event()
    await conn.add_listener("jobs", lambda *_: bell.set())
    while not conn.is_closed():
        bell.clear()
        async with conn.transaction():
            job = await conn.fetchval(FREE)
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), 5)


@reconnecting
async def the_whole_table(conn: Any, work: Any) -> None:
    while True:
        async with conn.transaction():
            await conn.execute("lock table jobs in share row exclusive mode")
            job = await conn.fetchval(
                "select id from jobs where done_at is null order by id limit 1"
            )
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            await asyncio.sleep(0.2)


@reconnecting
async def one_lock_for_all(conn: Any, work: Any) -> None:
    while True:
        async with conn.transaction():
            await conn.execute("select pg_advisory_xact_lock(14)")
            job = await conn.fetchval(FREE)
            if job is not None:
                await work(conn, job)
                await conn.execute(DONE, job)
        if job is None:
            await asyncio.sleep(0.2)


@reconnecting
async def gives_up_at_the_first(conn: Any, work: Any) -> None:
    await conn.execute("set lock_timeout = '100ms'")
    while True:
        job = None
        with contextlib.suppress(asyncpg.LockNotAvailableError):
            async with conn.transaction():
                job = await conn.fetchval(FREE.replace(" skip locked", ""))
                if job is not None:
                    await work(conn, job)
                    await conn.execute(DONE, job)
        if job is None:
            await asyncio.sleep(0.2)


CLAIMED: set[int] = set()


@reconnecting
async def claimed_in_this_process(conn: Any, work: Any) -> None:
    while True:
        rows = await conn.fetch("select id from jobs where done_at is null order by id")
        free = [row["id"] for row in rows if row["id"] not in CLAIMED]
        if not free:
            await asyncio.sleep(0.2)
            continue
        CLAIMED.add(free[0])
        try:
            async with conn.transaction():
                await work(conn, free[0])
                await conn.execute(DONE, free[0])
        finally:
            CLAIMED.discard(free[0])


async def does_not_come_back(dsn: str, work: Any) -> None:
    async with connection(dsn) as conn:
        while True:
            async with conn.transaction():
                job = await conn.fetchval(FREE)
                if job is not None:
                    await work(conn, job)
                    await conn.execute(DONE, job)
            if job is None:
                await asyncio.sleep(0.2)


async def does_not_end(dsn: str, work: Any) -> None:
    end = asyncio.get_running_loop().time() + 40  # or no test would end
    while asyncio.get_running_loop().time() < end:
        with contextlib.suppress(BaseException):
            async with connection(dsn) as conn:
                while True:
                    async with conn.transaction():
                        job = await conn.fetchval(FREE)
                        if job is not None:
                            await work(conn, job)
                            await conn.execute(DONE, job)
                    if job is None:
                        await asyncio.sleep(0.2)
        with contextlib.suppress(BaseException):
            await asyncio.sleep(0.05)


# Task 3


async def queue_and_thread(conn: Any, print_ticket: Any) -> None:
    tickets: asyncio.Queue[str] = asyncio.Queue()

    def on_ticket(_conn: Any, _pid: int, _channel: str, seat: Any) -> None:
        tickets.put_nowait(seat)

    await conn.add_listener("tickets", on_ticket)
    try:
        while True:
            seat = await tickets.get()
            try:
                await asyncio.to_thread(print_ticket, seat)
            except Exception as error:
                print(f"ticket {seat} was not printed: {error}")
    finally:
        if not conn.is_closed():
            await conn.remove_listener("tickets", on_ticket)


async def executor_of_one(conn: Any, print_ticket: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as executor:

        def on_ticket(*arguments: Any) -> None:
            executor.submit(print_ticket, arguments[3])

        await conn.add_listener("tickets", on_ticket)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await conn.remove_listener("tickets", on_ticket)
            executor.shutdown(wait=False, cancel_futures=True)


class Printer:
    """A thread of its own, with a queue."""

    def __init__(self, print_ticket: Any) -> None:
        self.print_ticket = print_ticket
        self.seats: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.over = False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        while (seat := self.seats.get()) is not None and not self.over:
            with contextlib.suppress(Exception):
                self.print_ticket(seat)

    def on_ticket(self, conn: Any, pid: int, channel: str, seat: str) -> None:
        self.seats.put(seat)


async def printer_in_a_thread(conn: Any, print_ticket: Any) -> None:
    printer = Printer(print_ticket)
    printer.thread.start()
    await conn.add_listener("tickets", printer.on_ticket)
    try:
        await asyncio.Event().wait()
    finally:
        printer.over = True
        printer.seats.put(None)
        await conn.remove_listener("tickets", printer.on_ticket)


def printing(
    take: Any = None,
    end: Any = None,
    size: int = 0,
    skip: Any = Exception,
    again: bool = False,
    once: bool = False,
) -> Any:
    async def print_tickets(conn: Any, print_ticket: Any) -> None:
        tickets: asyncio.Queue[str] = asyncio.Queue(size)
        seen: set[str] = set()

        def on_ticket(_conn: Any, _pid: int, _channel: str, seat: Any) -> None:
            if take:
                take(print_ticket, seat)
            elif not (once and seat in seen):
                seen.add(seat)
                tickets.put_nowait(seat)

        await conn.add_listener("tickets", on_ticket)
        try:
            while True:
                seat = await tickets.get()
                for _ in range(2 if again else 1):
                    try:
                        await asyncio.to_thread(print_ticket, seat)
                        break
                    except skip:
                        pass
        finally:
            if end:
                await end(conn)
            else:
                await conn.remove_listener("tickets", on_ticket)

    return print_tickets


PRINTING: list[Any] = []


def a_task_each(print_ticket: Any, seat: str) -> None:
    PRINTING.append(asyncio.ensure_future(asyncio.to_thread(print_ticket, seat)))


def in_the_loop(print_ticket: Any, seat: str) -> None:
    with contextlib.suppress(Exception):
        print_ticket(seat)


async def unlisten_all(conn: Any) -> None:
    await conn.execute("unlisten *")


async def reset(conn: Any) -> None:
    await conn.reset()


async def close(conn: Any) -> None:
    await conn.close()


async def nothing(_: Any) -> None:
    pass


async def unlisten(conn: Any) -> None:
    await conn.execute("unlisten tickets")


by_queue = named("by_queue", printing())
tasks_for_tickets = named("tasks_for_tickets", printing(take=a_task_each))
blocks_the_loop = named("blocks_the_loop", printing(take=in_the_loop))
unlistens_everything = named("unlistens_everything", printing(end=unlisten_all))
resets_the_connection = named("resets_the_connection", printing(end=reset))
closes_the_connection = named("closes_the_connection", printing(end=close))
goes_on_listening = named("goes_on_listening", printing(end=nothing))
unlistens_in_sql = named("unlistens_in_sql", printing(end=unlisten))
drops_what_does_not_fit = named("drops_what_does_not_fit", printing(size=3))
ends_with_the_printer = named("ends_with_the_printer", printing(skip=()))
tries_again = named("tries_again", printing(again=True))
each_seat_once = named("each_seat_once", printing(once=True))
knows_one_error = named("knows_one_error", printing(skip=(OSError, ValueError)))


async def swallows_the_end(conn: Any, print_ticket: Any) -> None:
    tickets: asyncio.Queue[str] = asyncio.Queue()

    def on_ticket(*arguments: Any) -> None:
        tickets.put_nowait(arguments[3])

    await conn.add_listener("tickets", on_ticket)
    end = asyncio.get_running_loop().time() + 15  # or no test would end
    while asyncio.get_running_loop().time() < end:
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await asyncio.to_thread(print_ticket, await tickets.get())


async def four_printers(conn: Any, print_ticket: Any) -> None:
    executor = concurrent.futures.ThreadPoolExecutor(4)

    def on_ticket(*arguments: Any) -> None:
        executor.submit(print_ticket, arguments[3])

    await conn.add_listener("tickets", on_ticket)
    try:
        await asyncio.Event().wait()
    finally:
        await conn.remove_listener("tickets", on_ticket)
        executor.shutdown(wait=False, cancel_futures=True)


ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, all_rows_and_a_set),
    (1, None, in_a_class),
    (1, None, by_configuration),
    (1, None, with_a_slow_poll),
    (1, None, the_payload_only),
    (1, "", seats_are_known),
    (1, "gap", reads_before_it_listens),
    (1, "twice", forgets_when_it_connects),
    (1, "twice", each_row_each_time),
    (1, "polls", polls),
    (1, "polls", polls_too),
    (1, "", returns_after_five_seconds),
    (1, "dead connection", only_the_broken_connection),
    (1, "larger number", after_the_last_id),
    (1, "larger number", after_the_last_transaction),
    (1, "", leaves_its_connection),
    (1, "", goes_on_when_cancelled),
    (1, "no catching up", forgets_what_it_missed),
    (1, "dead connection", does_not_notice),
    (1, "", two_connections),
    (1, "larger number", last_thousand),
    (2, None, locked_in_a_transaction),
    (2, None, advisory_locks),
    (2, None, nowait_one_by_one),
    (2, None, done_first_in_a_transaction),
    (2, "done twice", without_a_transaction),
    (2, "done twice", done_in_a_second_transaction),
    (2, "queues up", waits_for_the_first),
    (2, "done twice", advisory_lock_and_no_second_look),
    (2, "never freed", listens_only),
    (2, "never freed", looks_every_five_seconds),
    (2, "queues up", the_whole_table),
    (2, "queues up", one_lock_for_all),
    (2, "queues up", gives_up_at_the_first),
    (2, "done twice", claimed_in_this_process),
    (2, "", does_not_come_back),
    (2, "", does_not_end),
    (3, None, queue_and_thread),
    (3, None, executor_of_one),
    (3, None, printer_in_a_thread),
    (3, None, by_queue),
    (3, "all at once", tasks_for_tickets),
    (3, "on the loop", blocks_the_loop),
    (3, "", unlistens_everything),
    (3, "", resets_the_connection),
    (3, "", closes_the_connection),
    (3, "", goes_on_listening),
    (3, "", unlistens_in_sql),
    (3, "", drops_what_does_not_fit),
    (3, "stops", ends_with_the_printer),
    (3, "", tries_again),
    (3, "", each_seat_once),
    (3, "stops", knows_one_error),
    (3, "", swallows_the_end),
    (3, "all at once", four_printers),
)
