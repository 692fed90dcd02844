"""Wrong fixes for exercise 14, and other right ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import asyncpg

from .answers import ANSWERS

BROKEN = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
ALL = "select id, seat from sold order by id"


async def _forever(once: Callable[[], Any]) -> None:
    while True:
        with contextlib.suppress(*BROKEN):
            await once()
        await asyncio.sleep(0.05)


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds)


async def _listening(conn: Any, channel: str) -> asyncio.Event:
    wake = asyncio.Event()
    conn.add_termination_listener(lambda _: wake.set())
    await conn.add_listener(channel, lambda *_: wake.set())
    return wake


async def ask_all_the_time(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            while True:
                for row in await conn.fetch(ALL):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await asyncio.sleep(0.1)
        finally:
            conn.terminate()

    await _forever(once)


async def remember_the_largest(dsn: str, deliver: Any) -> None:
    last = 0

    async def once() -> None:
        nonlocal last
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "sold")
            while True:
                wake.clear()
                for row in await conn.fetch(
                    "select id, seat from sold where id > $1 order by id", last
                ):
                    last = row["id"]
                    deliver(row["seat"])
                await _wait(wake, 5)
        finally:
            conn.terminate()

    await _forever(once)


async def add_the_listener_again(dsn: str, deliver: Any) -> None:
    conn = await asyncpg.connect(dsn)
    seen: set[int] = set()
    wake = asyncio.Event()
    try:
        conn.add_termination_listener(lambda _: wake.set())
        while True:
            with contextlib.suppress(*BROKEN):
                await conn.add_listener("sold", lambda *_: wake.set())
                wake.clear()
                for row in await conn.fetch(ALL):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
            await _wait(wake, 2)
            await asyncio.sleep(0.01)
    finally:
        conn.terminate()


async def _by_payload(conn: Any, deliver: Any, queue: asyncio.Queue[str]) -> None:
    while True:
        number = await queue.get()
        if not number:
            return
        deliver(await conn.fetchval("select seat from sold where id = $1", int(number)))


async def listen_again(dsn: str, deliver: Any) -> None:
    first = True

    async def once() -> None:
        nonlocal first
        conn = await asyncpg.connect(dsn)
        try:
            queue: asyncio.Queue[str] = asyncio.Queue()
            conn.add_termination_listener(lambda _: queue.put_nowait(""))
            await conn.add_listener("sold", lambda *arguments: queue.put_nowait(arguments[3]))
            if first:
                first = False
                for row in await conn.fetch(ALL):
                    deliver(row["seat"])
            await _by_payload(conn, deliver, queue)
        finally:
            conn.terminate()

    await _forever(once)


async def read_and_then_listen(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            rows = await conn.fetch(ALL)
            wake = await _listening(conn, "sold")
            while True:
                for row in rows:
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await _wait(wake, 10)
                wake.clear()
                rows = await conn.fetch(ALL)
        finally:
            conn.terminate()

    await _forever(once)


async def begin_again(dsn: str, deliver: Any) -> None:
    async def once() -> None:
        seen: set[int] = set()
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "sold")
            while True:
                wake.clear()
                for row in await conn.fetch(ALL):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await _wait(wake, 5)
        finally:
            conn.terminate()

    await _forever(once)


async def wait_as_in_a_thread(dsn: str, deliver: Any) -> None:
    conn = await asyncpg.connect(dsn)
    seats: list[str] = [row["seat"] for row in await conn.fetch(ALL)]
    for seat in seats:
        deliver(seat)
    await conn.add_listener("sold", lambda *arguments: seats.append(arguments[3]))
    while not conn.is_closed():
        time.sleep(0.1)


async def read_the_whole_table(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "sold")
            while True:
                wake.clear()
                for row in await conn.fetch(ALL):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await _wait(wake, 5)
        finally:
            conn.terminate()

    await _forever(once)


async def take_the_payload_and_catch_up(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            queue: asyncio.Queue[str] = asyncio.Queue()
            conn.add_termination_listener(lambda _: queue.put_nowait(""))
            await conn.add_listener("sold", lambda *arguments: queue.put_nowait(arguments[3]))
            rows = await conn.fetch(ALL)
            while rows is not None:
                for row in rows:
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                number = await queue.get()
                rows = (
                    await conn.fetch("select id, seat from sold where id = $1", int(number))
                    if number
                    else None
                )
        finally:
            conn.terminate()

    await _forever(once)


async def _ask_now_and_then(dsn: str, deliver: Any, seconds: float) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            while True:
                for row in await conn.fetch(ALL):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await asyncio.sleep(seconds)
        finally:
            conn.terminate()

    await _forever(once)


async def ask_every_two_seconds(dsn: str, deliver: Any) -> None:
    await _ask_now_and_then(dsn, deliver, 2)


async def ask_a_little_less_often_than_is_seen(dsn: str, deliver: Any) -> None:
    await _ask_now_and_then(dsn, deliver, 0.75)


async def know_them_by_seat(dsn: str, deliver: Any) -> None:
    seen: set[str] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "sold")
            while True:
                wake.clear()
                for row in await conn.fetch(ALL):
                    if row["seat"] not in seen:
                        seen.add(row["seat"])
                        deliver(row["seat"])
                await _wait(wake, 5)
        finally:
            conn.terminate()

    await _forever(once)


async def ten_before_the_largest(dsn: str, deliver: Any) -> None:
    seen: set[int] = set()

    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "sold")
            while True:
                wake.clear()
                for row in await conn.fetch(
                    "select id, seat from sold where id > $1 order by id", max(seen, default=0) - 10
                ):
                    if row["id"] not in seen:
                        seen.add(row["id"])
                        deliver(row["seat"])
                await _wait(wake, 5)
        finally:
            conn.terminate()

    await _forever(once)


NEXT = "select id from jobs where done_at is null order by id limit 1 for update"
MARK = "update jobs set done_at = now() where id = $1"


async def _work(dsn: str, one: Callable[[Any], Any], patience: float = 1) -> None:
    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            wake = await _listening(conn, "jobs")
            while True:
                wake.clear()
                while await one(conn) is not None:
                    pass
                await _wait(wake, patience)
        finally:
            conn.terminate()

    await _forever(once)


async def mark_first(dsn: str, work: Any) -> None:
    async def one(conn: Any) -> Any:
        job = await conn.fetchval(
            f"update jobs set done_at = now() where id = ({NEXT} skip locked) returning id"
        )
        if job is not None:
            await work(conn, job)
        return job

    await _work(dsn, one)


async def mark_afterwards(dsn: str, work: Any) -> None:
    async def one(conn: Any) -> Any:
        job = await conn.fetchval(f"{NEXT} skip locked")
        if job is not None:
            await work(conn, job)
            await conn.execute(MARK, job)
        return job

    await _work(dsn, one)


async def _in_a_block(conn: Any, work: Any, query: str) -> Any:
    async with conn.transaction():
        job = await conn.fetchval(query)
        if job is not None:
            await work(conn, job)
            await conn.execute(MARK, job)
    return job


async def without_skip_locked(dsn: str, work: Any) -> None:
    await _work(dsn, lambda conn: _in_a_block(conn, work, NEXT))


async def only_when_told(dsn: str, work: Any) -> None:
    await _work(dsn, lambda conn: _in_a_block(conn, work, f"{NEXT} skip locked"), patience=600)


async def only_a_poll(dsn: str, work: Any) -> None:
    async def once() -> None:
        conn = await asyncpg.connect(dsn)
        try:
            while True:
                if await _in_a_block(conn, work, f"{NEXT} skip locked") is None:
                    await asyncio.sleep(0.5)
        finally:
            conn.terminate()

    await _forever(once)


async def mark_first_in_one_block(dsn: str, work: Any) -> None:
    async def one(conn: Any) -> Any:
        async with conn.transaction():
            job = await conn.fetchval(
                f"update jobs set done_at = now() where id = ({NEXT} skip locked) returning id"
            )
            if job is not None:
                await work(conn, job)
        return job

    await _work(dsn, one)


TAKEN: set[int] = set()


async def a_set_for_a_lock(dsn: str, work: Any) -> None:
    async def one(conn: Any) -> Any:
        job = await conn.fetchval(
            "select id from jobs where done_at is null and id <> all($1) order by id limit 1",
            [*TAKEN],
        )
        if job is None or job in TAKEN:
            return job
        TAKEN.add(job)
        try:
            async with conn.transaction():
                if await conn.fetchval("select done_at is null from jobs where id = $1", job):
                    await work(conn, job)
                    await conn.execute(MARK, job)
        finally:
            TAKEN.discard(job)
        return job

    await _work(dsn, one)


async def catch_being_cancelled(dsn: str, work: Any) -> None:
    for _ in range(5):  # forever, at work; here somebody has to end it
        with contextlib.suppress(asyncio.CancelledError):
            await _work(dsn, lambda conn: _in_a_block(conn, work, f"{NEXT} skip locked"))


async def _until_cancelled(conn: Any, callback: Any) -> None:
    await conn.add_listener("tickets", callback)
    try:
        await asyncio.Event().wait()
    finally:
        await conn.remove_listener("tickets", callback)


async def catch_it_in_the_callback(conn: Any, print_ticket: Any) -> None:
    def on_ticket(conn: Any, pid: int, channel: str, seat: str) -> None:
        with contextlib.suppress(Exception):
            print_ticket(seat)

    await _until_cancelled(conn, on_ticket)


async def an_async_callback_that_blocks(conn: Any, print_ticket: Any) -> None:
    async def on_ticket(conn: Any, pid: int, channel: str, seat: str) -> None:
        with contextlib.suppress(Exception):
            print_ticket(seat)

    await _until_cancelled(conn, on_ticket)


async def a_thread_for_each(conn: Any, print_ticket: Any) -> None:
    async def on_ticket(conn: Any, pid: int, channel: str, seat: str) -> None:
        with contextlib.suppress(Exception):
            await asyncio.to_thread(print_ticket, seat)

    await _until_cancelled(conn, on_ticket)


async def try_around_the_loop(conn: Any, print_ticket: Any) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    def note(conn: Any, pid: int, channel: str, seat: str) -> None:
        queue.put_nowait(seat)

    await conn.add_listener("tickets", note)
    try:
        with contextlib.suppress(ValueError):
            while True:
                await asyncio.to_thread(print_ticket, await queue.get())
        await asyncio.Event().wait()
    finally:
        await conn.remove_listener("tickets", note)


async def a_lock_in_the_callback(conn: Any, print_ticket: Any) -> None:
    lock = asyncio.Lock()  # gives way in the order of asking

    async def on_ticket(conn: Any, pid: int, channel: str, seat: str) -> None:
        async with lock:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(print_ticket, seat)

    await _until_cancelled(conn, on_ticket)


async def _queued(conn: Any, print_ticket: Any, end: Callable[[Any], Any]) -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()

    def note(conn: Any, pid: int, channel: str, seat: str) -> None:
        queue.put_nowait(seat)

    await conn.add_listener("tickets", note)
    try:
        while True:
            seat = await queue.get()
            with contextlib.suppress(RuntimeError):
                await asyncio.to_thread(print_ticket, seat)
    finally:
        await end(note)


async def unlisten_by_hand(conn: Any, print_ticket: Any) -> None:
    await _queued(conn, print_ticket, lambda _: conn.execute("unlisten *"))


async def close_the_callers_connection(conn: Any, print_ticket: Any) -> None:
    await _queued(conn, print_ticket, lambda _: conn.close())


async def without_quotes(conn: Any, channel: str, seat: str) -> None:
    await conn.execute(f"notify {channel}, '{seat}'")


async def the_name_in_quotes(conn: Any, channel: str, seat: str) -> None:
    await conn.execute(f"""notify "{channel}", '{seat}'""")


async def quotes_by_the_server(conn: Any, channel: str, seat: str) -> None:
    sql = await conn.fetchval("select format('notify %I, %L', $1::text, $2::text)", channel, seat)
    await conn.execute(sql)


async def in_lower_case(conn: Any, channel: str, seat: str) -> None:
    await conn.execute("select pg_notify(lower($1), $2)", channel, seat)


ROUND = "select id from jobs where done_at is null and not_before <= now() order by id limit 1"
TAKE = f"{ROUND} for update skip locked"
DONE = "update jobs set done_at = now() where id = $1"
FAILED = """update jobs set attempts = attempts + 1, last_error = $2, not_before =
    case when attempts < 2 then clock_timestamp() + interval '1 minute' * 2 ^ attempts
    else 'infinity' end where id = $1"""


async def without_a_pause(conn: Any, work: Any) -> int | None:
    async with conn.transaction():
        job: int | None = await conn.fetchval(
            "select id from jobs where done_at is null order by id limit 1 for update skip locked"
        )
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except Exception as error:
            if conn.is_closed():
                raise
            await conn.execute(FAILED, job, repr(error))
        else:
            await conn.execute(DONE, job)
    return job


async def without_a_savepoint(conn: Any, work: Any) -> int | None:
    job: int | None = None
    with contextlib.suppress(asyncpg.InFailedSQLTransactionError):
        async with conn.transaction():
            job = await conn.fetchval(TAKE)
            if job is None:
                return None
            try:
                await work(conn, job)
            except Exception as error:
                if conn.is_closed():
                    raise
                await conn.execute("delete from tickets where job_id = $1", job)
                await conn.execute(FAILED, job, repr(error))
            else:
                await conn.execute(DONE, job)
    return job


async def keep_what_was_stored(conn: Any, work: Any) -> int | None:
    tickets: list[Any] = []
    async with conn.transaction():
        job: int | None = await conn.fetchval(TAKE)
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except Exception as error:
            if conn.is_closed():
                raise
            tickets = [job]
            await conn.execute(FAILED, job, repr(error))
        else:
            await conn.execute(DONE, job)
    for one in tickets:
        await conn.execute("insert into tickets values ($1) on conflict do nothing", one)
    return job


async def count_being_cancelled(conn: Any, work: Any) -> int | None:
    async with conn.transaction():
        job: int | None = await conn.fetchval(TAKE)
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except BaseException as error:
            if conn.is_closed():
                raise
            await conn.execute(FAILED, job, repr(error))
        else:
            await conn.execute(DONE, job)
    return job


async def note_it_afterwards(conn: Any, work: Any) -> int | None:
    job: int | None = None
    try:
        async with conn.transaction():
            job = await conn.fetchval(TAKE)
            if job is None:
                return None
            await work(conn, job)
            await conn.execute(DONE, job)
    except Exception as error:
        if conn.is_closed():
            raise
        await conn.execute(FAILED, job, repr(error))
    return job


async def wait_for_the_others(conn: Any, work: Any) -> int | None:
    async with conn.transaction():
        job: int | None = await conn.fetchval(f"{ROUND} for update")
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except Exception as error:
            if conn.is_closed():
                raise
            await conn.execute(FAILED, job, repr(error))
        else:
            await conn.execute(DONE, job)
    return job


async def str_of_the_error(conn: Any, work: Any) -> int | None:
    async with conn.transaction():
        job: int | None = await conn.fetchval(TAKE)
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except Exception as error:
            if conn.is_closed():
                raise
            await conn.execute(FAILED, job, str(error))
        else:
            await conn.execute(DONE, job)
    return job


async def always_a_minute(conn: Any, work: Any) -> int | None:
    async with conn.transaction():
        job: int | None = await conn.fetchval(TAKE)
        if job is None:
            return None
        try:
            async with conn.transaction():
                await work(conn, job)
        except Exception as error:
            if conn.is_closed():
                raise
            await conn.execute(FAILED.replace(" * 2 ^ attempts", ""), job, repr(error))
        else:
            await conn.execute(DONE, job)
    return job


async def a_lost_connection_is_no_news(conn: Any, work: Any) -> int | None:
    with contextlib.suppress(asyncpg.InterfaceError, asyncpg.AdminShutdownError, OSError):
        return await _by_hand(conn, work)
    return None


async def _by_hand(conn: Any, work: Any) -> int | None:
    """Savepoints in SQL, and the pause by Python."""
    await conn.execute("begin")
    try:
        row = await conn.fetchrow(TAKE.replace("select id", "select id, attempts"))
        if row is not None:
            await conn.execute("savepoint work")
            try:
                await work(conn, row["id"])
            except Exception as error:
                await conn.execute("rollback to work")
                pause = {0: "1 min", 1: "2 min"}.get(row["attempts"])
                await conn.execute(
                    "update jobs set attempts = attempts + 1, last_error = $2, not_before ="
                    " coalesce(now() + $3::text::interval, 'infinity') where id = $1",
                    row["id"],
                    f"{error!r}",
                    pause,
                )
            else:
                await conn.execute(DONE, row["id"])
        await conn.execute("commit")
    except BaseException:
        if not conn.is_closed():
            await conn.execute("rollback")
        raise
    return int(row["id"]) if row else None


async def leave_without_an_end(conn: Any, work: Any) -> int | None:
    """By hand, and `begin` stands open when there is no job."""
    if not conn.is_in_transaction():
        await conn.execute("begin")
    if await conn.fetchval(f"select count(*) from ({TAKE}) s") == 0:
        return None
    await conn.execute("rollback")
    return await _by_hand(conn, work)


class _Attempt:
    """A job that is held, and what came of it."""

    def __init__(self, conn: Any) -> None:
        self.conn = conn

    async def __aenter__(self) -> int | None:
        self.outer = self.conn.transaction()
        await self.outer.start()
        job: int | None = await self.conn.fetchval(TAKE)
        self.inner = self.conn.transaction()
        await self.inner.start()
        self.job = job
        return job

    async def __aexit__(self, kind: Any, error: Any, _: Any) -> bool:
        if self.conn.is_closed() or (error and not isinstance(error, Exception)):
            if not self.conn.is_closed():
                await self.outer.rollback()
            return False
        if error:
            await self.inner.rollback()
            await self.conn.execute(FAILED, self.job, repr(error))
        else:
            await self.inner.commit()
            await self.conn.execute(DONE, self.job)
        await self.outer.commit()
        return True


async def a_class_for_an_attempt(conn: Any, work: Any) -> int | None:
    async with _Attempt(conn) as job:
        if job is not None:
            await work(conn, job)
    return job


async def by_hand(conn: Any, work: Any) -> int | None:
    return await _by_hand(conn, work)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "folded"): without_quotes,
    (0, "text"): the_name_in_quotes,
    (1, "polls"): ask_all_the_time,
    (1, "larger number"): remember_the_largest,
    (1, "dead connection"): add_the_listener_again,
    (1, "no catching up"): listen_again,
    (1, "gap"): read_and_then_listen,
    (1, "twice"): begin_again,
    (1, "blocks"): wait_as_in_a_thread,
    (2, "marks first"): mark_first,
    (2, "done twice"): mark_afterwards,
    (2, "queues up"): without_skip_locked,
    (2, "never freed"): only_when_told,
    (3, "on the loop"): catch_it_in_the_callback,
    (3, "all at once"): a_thread_for_each,
    (3, "stops"): try_around_the_loop,
    (4, "at once"): without_a_pause,
    (4, "aborted"): without_a_savepoint,
    (4, "kept"): keep_what_was_stored,
    (4, "cancelled"): count_being_cancelled,
    (4, "free meanwhile"): note_it_afterwards,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, read_the_whole_table),
    (1, None, take_the_payload_and_catch_up),
    (1, "polls", ask_every_two_seconds),
    (1, "polls", ask_a_little_less_often_than_is_seen),
    (1, "", know_them_by_seat),
    (1, "larger number", ten_before_the_largest),
    (2, "done twice", a_set_for_a_lock),
    (2, "", catch_being_cancelled),
    (2, None, only_a_poll),
    (2, None, mark_first_in_one_block),
    (3, "", unlisten_by_hand),
    (3, "", close_the_callers_connection),
    (3, "on the loop", an_async_callback_that_blocks),
    (3, None, a_lock_in_the_callback),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    *ANSWERS,
    (0, None, quotes_by_the_server),
    (0, "folded", in_lower_case),
    (4, "", wait_for_the_others),
    (4, "", str_of_the_error),
    (4, "", leave_without_an_end),
    (4, "", always_a_minute),
    (4, "", a_lost_connection_is_no_news),
    (4, None, by_hand),
    (4, None, a_class_for_an_attempt),
)
