"""Exercise 13: all orders while the shop sells; pages; a generator that is left early."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
import tracemalloc
import zlib
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...servers.server import SUPERUSER
from ...servers.stack import Stack
from . import attempt, paging
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "13_cursors"
LIMIT = 20  # seconds


# Task 1: all orders, and no more memory

ORDERS = 20_000
MEMORY = 3_000_000  # bytes; all orders take 8 million and more, COPY's own buffers up to 1.4
MANY = f"""
    insert into orders (customer_id, total_cents, basket)
    select 1 + n % 200, 5000, jsonb_build_object('event', 5, 'seats', (
        select jsonb_agg(md5(n::text || i)) from generate_series(1, 8) i))
    from generate_series(1, {ORDERS}) n"""
# What customers do while the receiver rests: money moves from an order that was sent to one that was not.
MEANWHILE = """
    update orders set total_cents = total_cents - 1000 where id = (select min(id) from orders);
    update orders set total_cents = total_cents + 1000 where id = (select max(id) from orders);
    delete from orders where id = (select max(id) - 7 from orders);
    insert into orders (customer_id, total_cents, basket) values (7, 4900, '{}')"""


# What customers do while the export reads: the sum stays, and so does all but these two orders.
MOVE = """
    update orders set total_cents = total_cents + case when id = (select min(id) from orders) then -1 else 1 end
    where id in (select min(id) from orders union all select max(id) from orders)"""


class Receiver:
    """Counts what it gets, and compares it. Keeps one byte for each order, so that its own memory does not count."""

    def __init__(self, orders: list[Any], resting: Callable[[], Awaitable[None]]) -> None:
        last = max(row["id"] for row in orders)
        self.times, self.resting = bytearray(last + 100), resting
        self.cents, self.baskets = array("q", [0]) * (last + 1), array("L", [0]) * (last + 1)
        for row in orders:
            self.cents[row["id"]], self.baskets[row["id"]] = (
                row["total_cents"],
                _sum_of(row["basket"]),
            )
        self.moving = min(row["id"] for row in orders), last
        self.batches, self.total, self.wrong, self.longest, self.last_id = 0, 0, "", 0, 0

    async def __call__(self, batch: Any) -> None:
        self.batches += 1
        if not isinstance(batch, list | tuple) or not batch:
            self.wrong = self.wrong or f"{type(batch).__name__} came, empty or no list"
            return
        self.longest = max(self.longest, len(batch))
        for row in batch:
            try:
                number, cents, basket = row
                if not (
                    isinstance(number, int)
                    and isinstance(cents, int)
                    and isinstance(basket, str)
                    and basket[:1] == "{"
                ):
                    raise ValueError
            except (TypeError, ValueError):
                self.wrong = self.wrong or f"{str(row)[:60]} came for an order"
                return
            if number < self.last_id:
                self.wrong = self.wrong or f"order {number} came after {self.last_id}"
            self.last_id = number
            if 0 <= number < len(self.cents) and self.baskets[number]:
                if self.baskets[number] != _sum_of(basket):
                    self.wrong = self.wrong or f"order {number} came with the basket {basket[:20]}"
                if number not in self.moving and self.cents[number] != cents:
                    self.wrong = self.wrong or f"order {number} came with {cents} cents"
            if 0 <= number < len(self.times):
                self.times[number] = min(self.times[number] + 1, 9)
            self.total += cents
        if self.batches == 2:
            await self.resting()


def _sum_of(text: str) -> int:
    return zlib.crc32(text.encode())


@contextlib.asynccontextmanager
async def _money_moves(stack: Stack) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """From the first order to the last one, again and again, until what it gives is called."""
    conn = await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER))
    over = False

    async def move() -> None:
        while not over:
            await conn.execute(MOVE)
            await asyncio.sleep(0.005)

    async def end() -> None:
        nonlocal over
        over = True
        await asyncio.wait({task}, timeout=5)

    task = asyncio.ensure_future(move())
    try:
        yield end
    finally:
        await end()
        task.cancel()
        conn.terminate()


async def _export(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER))
        await look.execute(MANY)
        orders = await look.fetch("select id, total_cents, basket from orders")
        there = [row["id"] for row in orders]
        total = await look.fetchval("select sum(total_cents) from orders")
        migrated = ""

        async def resting() -> None:
            nonlocal migrated
            await rest()
            await look.execute(MEANWHILE)
            try:
                await look.execute("set lock_timeout = '1s'; alter table orders add note text")
                migrated = "it does"
            except asyncpg.LockNotAvailableError:
                migrated = "it waits"
            open_ = await look.fetchval(
                "select count(*) from pg_stat_activity where usename = 'encore' and backend_xmin is not null"
            )
            migrated += ", and a transaction holds up VACUUM" if open_ else ""

        receiver = Receiver(orders, resting)
        del orders
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        await pool.fetchval("select count(*) from orders")
        running = tracemalloc.is_tracing()
        async with _money_moves(stack) as rest:
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            outcome = await exam.run(pool, receiver, limit=LIMIT)
            peak = tracemalloc.get_traced_memory()[1] - before
        if not running:
            tracemalloc.stop()

        missing = sum(not receiver.times[number] for number in there)
        twice = sum(receiver.times[number] > 1 for number in there)
        exam.criterion(
            "every order that was there is sent, and none twice",
            outcome.returned and not missing and not twice,
            (f"{outcome}; " if not outcome.returned else "")
            + f"missing: {missing}, twice: {twice}",
        )
        exam.criterion(
            "in lists of at most 500 tuples (id, total_cents, basket), by id",
            not receiver.wrong and 0 < receiver.longest <= 500,
            receiver.wrong or f"the longest has {receiver.longest}",
        )
        if receiver.wrong or not receiver.batches or not outcome.returned:
            pool.terminate()
            return
        one_moment = receiver.total == total
        exam.criterion(
            "the sum is that of one moment",
            one_moment,
            "it is"
            if one_moment
            else f"{total} cents at all moments of the reading, {receiver.total} sent",
        )
        exam.criterion(
            "at most 3 MB of memory",
            peak <= MEMORY,
            "it is" if peak <= MEMORY else f"{peak / 1e6:.1f} MB",
        )
        rests = migrated == "it does"
        exam.criterion(
            "while the receiver rests, a migration goes through",
            rests,
            migrated or "it sent one batch only",
        )
        back = await _back(pool, 0)
        exam.criterion(
            "afterwards the connections are in the pool", back, f"idle: {pool.get_idle_size()} of 2"
        )
        if peak > MEMORY:
            exam.trap("all at once")
        elif migrated and not rests:
            exam.trap("open")
        elif missing or twice or not one_moment:
            exam.trap("moments")
        else:
            await _hang_up(exam, look, pool)
        pool.terminate()


class HangUp(Exception):
    pass


async def _hang_up(exam: Examination, look: Any, pool: Any) -> None:
    calls = 0

    async def send(_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise HangUp("the receiver has hung up")

    outcome = await exam.run(pool, send, limit=LIMIT)
    await _back(pool, 1)
    left = await look.fetchval(
        "select count(*) from pg_stat_activity where usename = 'encore' and backend_xmin is not null"
    )
    right = (
        isinstance(outcome.error, HangUp) and calls == 3 and pool.get_idle_size() == 2 and not left
    )
    exam.criterion(
        "the receiver hangs up: that arrives, and nothing is left open",
        right,
        f"{outcome}; batches: {calls}, idle in the pool: {pool.get_idle_size()} of 2",
    )


async def _back(pool: Any, seconds: float) -> bool:
    """Whether all connections are idle in the pool, at the latest after so long."""
    deadline = time.monotonic() + seconds
    while pool.get_idle_size() < pool.get_size() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return bool(pool.get_idle_size() == pool.get_size())


# Task 3: the first order that is wanted


class Unwanted(Exception):
    pass


async def _first(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER))
        await look.execute(MANY.replace(str(ORDERS), "2000"))
        count = await look.fetchval("select count(*) from orders")
        late = await look.fetchval("select max(id) - 50 from orders")
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        kept: list[Outcome] = []
        delays: list[str] = []

        async def ends(
            what: str,
            wanted: Callable[[Any], Awaitable[bool]],
            right: Callable[[Outcome], bool],
            cancel: asyncio.Event | None = None,
        ) -> bool:
            """Run it, and look at the pool in the moment in which the function is over."""
            idle = -1

            async def call() -> Any:
                nonlocal idle
                try:
                    result = exam.code(pool, wanted)
                    return await result if inspect.isawaitable(result) else result
                finally:
                    idle = pool.get_idle_size()

            async def code() -> Any:
                task = asyncio.ensure_future(call())
                if cancel:
                    waiting = asyncio.ensure_future(cancel.wait())
                    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    task.cancel()
                return await task

            kept.append(
                outcome := await attempt.run(code, limit=5)
            )  # with its exception, whose traceback keeps frames
            good = right(outcome)
            exam.criterion(
                what,
                good,
                str(outcome) if not outcome.returned else f"{str(outcome.value)[:50]} came back",
            )
            in_time = await _back(pool, 1.5)
            exam.criterion(
                "its connection is back when it is over",
                idle == 2,
                "it is" if idle == 2 else "later" if in_time else "not even 1.5 s later",
            )
            if idle != 2:
                delays.append("later" if in_time else "never")
            return good and in_time

        async def is_third(order: Any) -> bool:
            return bool(order[0] == 3)

        async def is_late(order: Any) -> bool:
            return bool(order[0] == late)

        async def none(_: Any) -> bool:
            return False

        async def fails(order: Any) -> bool:
            if order[0] == 70:
                raise Unwanted("order 70 cannot be read")
            return False

        reached = asyncio.Event()

        async def waits(order: Any) -> bool:
            if order[0] == 60:
                reached.set()
                await asyncio.Event().wait()
            return False

        tap.clear()
        go_on = await ends(
            "order 3 is wanted",
            is_third,
            lambda outcome: (
                isinstance(outcome.value, tuple)
                and outcome.value[0] == 3
                and isinstance(outcome.value[2], dict)
            ),
        )
        rows = sum(event.count for event in tap.events if event.message == "DataRow")
        exam.criterion("at most 200 orders are read for it", rows <= 200, f"{rows} of {count}")
        if go_on:
            go_on = await ends(
                "an exception of wanted() arrives",
                fails,
                lambda outcome: isinstance(outcome.error, Unwanted),
            )
            if not isinstance(kept[-1].error, Unwanted) and kept[-1].returned:
                exam.trap("swallowed")
        if go_on:
            go_on = await ends(
                "cancelled in wanted(): that arrives",
                waits,
                lambda outcome: isinstance(outcome.error, asyncio.CancelledError),
                reached,
            )
            if kept[-1].returned:
                exam.trap("swallowed")
        if go_on:
            go_on = await ends(
                f"order {late} is wanted",
                is_late,
                lambda outcome: isinstance(outcome.value, tuple) and outcome.value[0] == late,
            )
        if go_on:
            await ends(
                "no order is wanted: None",
                none,
                lambda outcome: outcome.returned and outcome.value is None,
            )
        pool.terminate()
    if "never" in delays:
        exam.trap("never")
    elif delays:
        exam.trap("later")
    elif rows > 200:
        exam.trap("everything")


DRILL = Drill(
    NAME,
    "Exercise 13: an export, pages, and the first that is wanted",
    (
        Task(
            1,
            "all orders, and no more memory",
            _export,
            drill=NAME,
            hints=(
                "Three things are asked for: little memory, one moment, no open transaction while the receiver rests. Which of them do "
                "fetch, a cursor and pages have?",
                "One moment is one statement, or one transaction. It can be short if nothing in it waits for the receiver: what is read "
                "has to lie somewhere until it is sent, and memory is not the place.",
                "Write a cursor's rows, or COPY, to a tempfile.TemporaryFile; leave the transaction; then read the file in batches of "
                "500 and send them.",
            ),
            traps={
                "all at once": "All orders are in memory at one time, whether as records, as a list, or as bytes.",
                "open": "Little memory, and one moment. And as long as the receiver rests, a transaction is open: the migration waits, "
                "and behind it the shop.",
                "moments": "Little memory, and nothing is open. But each part was read at another moment: an order that was cancelled "
                "meanwhile is missing, and money that moved was counted twice.",
            },
        ),
        Task(
            2,
            "pages that lose no order",
            paging.examine,
            drill=NAME,
            hints=(
                "Which page is an order on when ten newer ones have come? And what does the browser have that stays true?",
                "The next page begins after the last order that was shown: after its placed_at and its id. The order itself may be gone "
                "by then, so both have to be in the token, exactly.",
                "where (placed_at, id) < ($1, $2) order by placed_at desc, id desc limit 11; the token from isoformat() and id; "
                "fromisoformat() and int() for the way back.",
            ),
            traps=paging.TRAPS,
        ),
        Task(
            3,
            "the first order that is wanted",
            _first,
            drill=NAME,
            hints=(
                "Print pool.get_idle_size() in the line after `await first(…)`. Who closes what your `return` leaves?",
                "return, break and exceptions do not close an async generator. There are two here, and each stands at its yield.",
                "async with aclosing(parsed(pool)) as orders: in first(), and async with aclosing(orders_of(pool)) as rows: in parsed().",
            ),
            traps={
                "later": "The connection comes back some time after the function is over: a generator was left to Python to close.",
                "never": "The caller keeps the exception, and with it the connection: the traceback has the frame, and the frame has the "
                "generator.",
                "everything": "The connection is back in time. For the third order, all of them were read.",
                "swallowed": "What happened in wanted() did not arrive: it looks as if no order was wanted.",
            },
        ),
    ),
)
