"""The first order that is wanted: who closes the generators that a `return` leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from .orders import are_back, many

TITLE = "the first order that is wanted"

HINTS = (
    "Print pool.get_idle_size() on the line after `await first(…)`. Who closes what your `return` "
    "leaves open?",
    "return, break and exceptions do not close an async generator. There are two here, and each "
    "stands at its yield.",
    "async with aclosing(parsed(pool)) as orders: in first(), and async with "
    "aclosing(orders_of(pool)) as rows: in parsed().",
)

TRAPS = {
    "later": "The connection comes back, but only some time after the function is over. Is a "
    "generator left to Python to close?",
    "never": "The caller keeps the exception, and with it the connection: the traceback has the "
    "frame, and the frame has the generator.",
    "everything": "The connection is back in time, but all orders were read to find the third.",
    "swallowed": "The exception of wanted() did not arrive: it looks as if no order was wanted.",
}

LIMIT = 15  # seconds; one row after the other is slow, and right
SALE = """
    set lock_timeout = '1s';
    update orders set total_cents = total_cents + 100 where id = 60;
    insert into orders (customer_id, total_cents, basket) values (7, 4900, '{}')"""
UNREADABLE = "order 70 cannot be read"
Wanted = Callable[[Any], Awaitable[bool]]


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack, "encore")
        await look.execute(many(1000))
        count = await look.fetchval("select count(*) from orders")
        late = await look.fetchval("select max(id) - 50 from orders")
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        search = _Search(exam, pool)

        asked: list[Any] = []

        async def is_third(order: Any) -> bool:
            asked.append(order[0])
            await asyncio.sleep(0)
            return bool(order[0] == 3)

        async def is_late(order: Any) -> bool:
            return bool(order[0] == late)

        async def none(_: Any) -> bool:
            return False

        async def fails(order: Any) -> bool:
            if order[0] == 70:
                raise ValueError(UNREADABLE)
            return False

        async def waits(order: Any) -> bool:
            if order[0] == 60:
                search.stopped = await _sells(look)
                search.reached = True
                await asyncio.Event().wait()
            return False

        tap.clear()
        go_on = await search.ends("order 3 is wanted", is_third, _is_third)
        rows = sum(event.count for event in tap.events if event.message == "DataRow")
        exam.criterion("at most 200 orders are read for it", rows <= 200, f"{rows} of {count}")
        exam.criterion(
            "wanted() is asked about one order after the other, and none after the one returned",
            asked == [1, 2, 3],
            f"asked: {', '.join(map(str, asked[:5]))}" + (", …" if len(asked) > 5 else ""),
        )
        if go_on:
            go_on = await search.ends("an exception of wanted() arrives", fails, _is_unreadable)
            if search.outcome.returned:
                exam.trap("swallowed")
        if go_on:
            go_on = await search.ends(
                "cancelled in wanted(): that arrives", waits, _is_cancelled, cancel=True
            )
            if search.outcome.returned:
                exam.trap("swallowed")
            exam.criterion(
                "while wanted() thinks, customers order, and change order 60",
                not search.stopped,
                search.stopped or "they do",
                timed=True,
            )
        if go_on:
            go_on = await search.ends(
                f"order {late} is wanted",
                is_late,
                lambda outcome: isinstance(outcome.value, tuple) and outcome.value[:1] == (late,),
            )
        if go_on:
            await search.ends(
                "no order is wanted: None",
                none,
                lambda outcome: outcome.returned and outcome.value is None,
            )
        pool.terminate()
    if "never" in search.delays:
        exam.trap("never")
    elif search.delays:
        exam.trap("later")
    elif rows > 200:
        exam.trap("everything")


async def _sells(look: Any) -> str:
    """What keeps customers from ordering; "" if nothing does."""
    try:
        await look.execute(SALE)
    except asyncpg.LockNotAvailableError as error:
        return f"they wait for a lock: {error}"
    finally:
        await look.execute("reset lock_timeout")
    return ""


class _Search:
    """Calls the learner's function, and looks at the pool in the moment in which it is over."""

    def __init__(self, exam: Examination, pool: Any) -> None:
        self.exam, self.pool = exam, pool
        self.reached = False  # it waits in wanted()
        self.stopped = "wanted() was not asked about order 60"
        self.delays: list[str] = []
        # With their exceptions, whose tracebacks keep frames.
        self._outcomes: list[Outcome] = []

    @property
    def outcome(self) -> Outcome:
        return self._outcomes[-1]

    async def ends(
        self, what: str, wanted: Wanted, is_right: Callable[[Outcome], bool], cancel: bool = False
    ) -> bool:
        running = self.exam.start(self.pool, wanted, limit=LIMIT)
        if cancel:
            await until(lambda: self.reached or running.done(), "it waits in wanted()", LIMIT)
            running.cancel()
        await running.wait(LIMIT)
        idle = self.pool.get_idle_size()
        self._outcomes.append(await running)
        right = is_right(self.outcome)
        self.exam.criterion(what, right, str(self.outcome))
        in_time = await are_back(self.pool, 1.5)
        self.exam.criterion(
            "its connection is back when it is over",
            idle == 2,
            "it is" if idle == 2 else "later" if in_time else "not even 1.5 s later",
        )
        if idle != 2:
            self.delays.append("later" if in_time else "never")
        return right and in_time


def _is_third(outcome: Outcome) -> bool:
    order = outcome.value
    is_order = isinstance(order, tuple) and len(order) > 2
    return is_order and order[0] == 3 and isinstance(order[2], dict)


def _is_unreadable(outcome: Outcome) -> bool:
    return isinstance(outcome.error, ValueError) and str(outcome.error) == UNREADABLE


def _is_cancelled(outcome: Outcome) -> bool:
    return isinstance(outcome.error, asyncio.CancelledError)
