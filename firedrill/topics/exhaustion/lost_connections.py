"""Exercise 03: a pool under pressure: connections that never come back, orders that wait for each other, an overload."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import asyncpg

from ... import servers
from ...servers import Stack
from ...servers.server import ROLE, SUPERUSER
from . import attempt
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "03_exhaustion"
END_THEM = f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{ROLE}'"
SLOTS = 4  # that PostgreSQL gives the shop's role: a larger pool meets 53300


class _Opened:
    """What the learner's function returned, and every pool that was made meanwhile."""

    def __init__(self, outcome: Outcome, pools: list[asyncpg.Pool]) -> None:
        self.outcome, self.pools = outcome, pools

    async def lost(self, patience: float = 2.0) -> int:
        """Connections that are still borrowed after `patience` seconds: a release takes a round trip or two."""
        deadline = time.monotonic() + patience
        while True:
            found: int = sum(pool.get_size() - pool.get_idle_size() for pool in self.pools)
            if not found or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.01)


class _Shop:
    """The servers of one check, with a superuser who looks."""

    def __init__(self, stack: Stack, look: Any) -> None:
        self.stack, self.look = stack, look

    async def sessions(self, condition: str = "true") -> set[int]:
        rows = await self.look.fetch(
            f"select pid from pg_stat_activity where usename = '{ROLE}' and {condition}"
        )
        return {row["pid"] for row in rows}

    async def until(self, count: int, condition: str, patience: float = 3.0) -> None:
        """At least so many sessions are in that state, or `patience` is over."""
        deadline = time.monotonic() + patience
        while len(await self.sessions(condition)) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def open(self, exam: Examination) -> AsyncIterator[_Opened]:
        """The learner's function is called, and all that it has opened is closed at the end."""
        with _recorded() as pools:
            try:
                outcome = await exam.run(self.stack.postgres.dsn())
                if _refused([outcome]):  # by the last moments of a connection of before, perhaps
                    await asyncio.sleep(0.3)
                    outcome = await exam.run(self.stack.postgres.dsn())
                yield _Opened(outcome, pools)
            finally:
                for pool in pools:
                    with contextlib.suppress(asyncpg.InterfaceError):  # one that never came to be
                        pool.terminate()
                deadline = time.monotonic() + 10
                while await self.look.fetch(END_THEM) and time.monotonic() < deadline:
                    await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _shop() -> AsyncIterator[_Shop]:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        await look.execute(f"alter role {ROLE} connection limit {SLOTS}")
        try:
            yield _Shop(stack, look)
        finally:
            look.terminate()


@contextlib.contextmanager
def _recorded() -> Iterator[list[asyncpg.Pool]]:
    """The pools that are made meanwhile, however they are called."""
    made: list[asyncpg.Pool] = []
    original = asyncpg.Pool.__init__

    @functools.wraps(original)
    def note(pool: asyncpg.Pool, *arguments: Any, **options: Any) -> None:
        original(pool, *arguments, **options)
        made.append(pool)

    with patch.object(asyncpg.Pool, "__init__", note):
        yield made


async def _calls(
    service: Callable[..., Any],
    calls: Sequence[Sequence[Any]],
    limit: float,
    meanwhile: Callable[[], Awaitable[Any]] | None = None,
) -> list[Outcome]:
    """What came of each call, all at once. Those that run after `limit` seconds, or when `meanwhile` is over, are cancelled."""

    async def one(arguments: Sequence[Any]) -> Outcome:
        try:
            result = service(*arguments)
            return Outcome(value=await result if inspect.isawaitable(result) else result)
        except (Exception, SystemExit) as error:
            return Outcome(error=error)

    tasks = [asyncio.ensure_future(one(arguments)) for arguments in calls]
    if meanwhile:
        await meanwhile()
    done, _ = await asyncio.wait(tasks, timeout=0 if meanwhile else limit)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=2)
    return [
        task.result() if task in done and not task.cancelled() else Outcome(hung=True, limit=limit)
        for task in tasks
    ]


async def _at_once(
    service: Callable[..., Any],
    calls: Sequence[Sequence[Any]],
    limit: float,
    meanwhile: Callable[[], Awaitable[Any]] | None = None,
) -> list[Outcome]:
    """As `_calls`, and it survives code that keeps the event loop from running."""
    outcome = await attempt.run(_calls, service, calls, limit, meanwhile, limit=limit + 4)
    return outcome.value if outcome.returned else [Outcome(hung=True, limit=limit)] * len(calls)


def _refused(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(one.error, asyncpg.TooManyConnectionsError) for one in outcomes)


def _ended(outcomes: Sequence[Outcome]) -> str:
    hung = sum(one.hung for one in outcomes)
    failed = [one for one in outcomes if one.error]
    text = f"{len(outcomes) - hung - len(failed)} of {len(outcomes)} were answered"
    if failed:
        kinds = sorted({type(one.error).__name__ for one in failed})
        text += f", {len(failed)} failed ({', '.join(kinds)})"
    return text + (
        f", {hung} were still waiting after {max(one.limit for one in outcomes):g} s"
        if hung
        else ""
    )


def _back(lost: int) -> str:
    return "all came back" if not lost else f"{lost} never came back"


async def _usable(exam: Examination, opened: _Opened, what: str, services: int = 1) -> bool:
    """Whether the learner's function gave what it should: a function, or so many of them."""
    value = opened.outcome.value
    found = [value] if services == 1 else list(value) if isinstance(value, (tuple, list)) else []
    if len(found) == services and all(callable(one) for one in found):
        return True
    exam.criterion(f"{what} opens", False, str(opened.outcome))
    if _refused([opened.outcome]):
        exam.trap("more")
    return False


# Task 1: prices

GOOD, UNKNOWN, NUMBER = (5, ["A1", "A2"]), (5, ["A1", "K1"]), (5, [7])
WAITS_FOR_A_LOCK = "wait_event_type = 'Lock'"


async def _prices(exam: Examination) -> None:
    lost: dict[str, int] = {}
    async with _shop() as shop:
        price = await shop.look.fetchval(
            "select sum(price_cents) from seats where event_id = 5 and label in ('A1', 'A2')"
        )

        async def path(what: str, request: Any, right: Callable[[Outcome], bool]) -> bool:
            """So many requests at once as there are connections, on a new pool: none has to wait for another's leak."""
            async with shop.open(exam) as opened:
                if not await _usable(exam, opened, "the price service"):
                    return False
                before = await shop.sessions()
                outcomes = await _at_once(opened.outcome.value, [request] * SLOTS, limit=3)
                lost[what] = await opened.lost()
                stayed = before <= await shop.sessions()
                met = all(right(one) for one in outcomes)
                exam.criterion(
                    what,
                    met and not lost[what] and stayed,
                    f"{outcomes[0] if not met else 'right'}; connections: "
                    + (_back(lost[what]) if stayed else "some were closed"),
                )
                if not stayed:
                    exam.trap("closes")
            return True

        if not await path("two seats have their price", GOOD, lambda one: one.value == price):
            return
        await path(
            "a seat that there is not: None",
            UNKNOWN,
            lambda one: one.returned and one.value is None,
        )
        await path(
            "a label that is no text: the error arrives",
            NUMBER,
            lambda one: isinstance(one.error, asyncpg.DataError),
        )

        what = "customers who leave during the query"
        async with shop.open(exam) as opened:
            blocker = await asyncpg.connect(shop.stack.postgres.dsn(user=SUPERUSER))
            await blocker.execute("begin; lock table seats in access exclusive mode")
            await _at_once(
                opened.outcome.value,
                [GOOD] * SLOTS,
                limit=4,
                meanwhile=lambda: shop.until(SLOTS, WAITS_FOR_A_LOCK),
            )
            await blocker.execute("rollback")
            blocker.terminate()
            lost[what] = await opened.lost()
            exam.criterion(what, not lost[what], f"connections: {_back(lost[what])}")

        async with shop.open(exam) as opened:
            outcomes = await _at_once(
                opened.outcome.value,
                [(GOOD, UNKNOWN, GOOD, NUMBER)[n % 4] for n in range(200)],
                limit=5,
            )
        exam.criterion(
            "200 requests at once, half of them bad: each good one has its price",
            all(one.value == price for one in outcomes[::2]),
            _ended(outcomes[::2]),
        )

    if exam.fallen:
        return
    if _refused(outcomes):
        exam.trap("more")
    elif any(isinstance(one.error, TimeoutError) for one in outcomes):
        exam.trap("timeout")
    elif sum(lost.values()) > lost[what]:
        exam.trap("path")
    elif lost[what]:
        exam.trap("cancelled")


# Task 2: orders

SEATS = [[f"{row}{seat}", f"{row}{seat + 1}"] for row in "ABCDEFGH" for seat in (1, 3, 5, 7, 9)]
STATE = """
    select (select count(*) from orders where id > 97), (select count(*) from payments where order_id > 97),
           (select count(*) from seats where event_id = 5 and status = 'sold')"""


async def _orders(exam: Examination) -> None:
    async with _shop() as shop, shop.open(exam) as opened:
        if not await _usable(exam, opened, "the box office"):
            return
        place_order = opened.outcome.value
        first = await _at_once(place_order, [(1, SEATS[0], "card")], limit=3)
        state = tuple(await shop.look.fetchrow(STATE))
        exam.criterion(
            "one order alone: it is placed and paid, its seats are sold",
            first[0].returned and state == (1, 1, 2),
            f"orders {state[0]}, payments {state[1]}, seats {state[2]}"
            if first[0].returned
            else str(first[0]),
        )

        rest = SEATS[1:]
        crowd = await _at_once(
            place_order, [(2 + n, labels, "card") for n, labels in enumerate(rest)], limit=5
        )
        state = tuple(await shop.look.fetchrow(STATE))
        exam.criterion(
            f"{len(rest)} orders at once: all are placed",
            state == (len(SEATS), len(SEATS), 2 * len(SEATS))
            and all(one.returned for one in crowd),
            f"{_ended(crowd)}; orders in the table: {state[0] - 1}",
        )

        await opened.lost()
        before = tuple(await shop.look.fetchrow(STATE))
        unpaid = await _at_once(place_order, [(1, ["J1", "J2"], "shells")], limit=3)
        after = tuple(await shop.look.fetchrow(STATE))
        failed = isinstance(unpaid[0].error, asyncpg.CheckViolationError)
        left = tuple(now - then for now, then in zip(after, before, strict=True))
        exam.criterion(
            "a payment that PostgreSQL refuses: the error arrives, and nothing of the order stays",
            failed and not any(left),
            str(unpaid[0])
            if not failed
            else f"left behind: orders {left[0]}, payments {left[1]}, seats {left[2]}",
        )
        lost = await opened.lost()
        exam.criterion("connections", not lost, _back(lost))

    everything = [*first, *crowd, *unpaid]
    if _refused(everything):
        exam.trap("more")
    elif any(isinstance(one.error, TimeoutError) for one in everything):
        exam.trap("gives up")
    elif any(one.hung for one in everything):
        exam.trap("hold")
    elif any(left):
        exam.trap("apart")


# Task 3: the morning of the sale

BOUND = 1.0  # seconds; the learner is told half of it, so that a slow machine fails nobody
REPORT = """
    create function sales_report() returns table (orders bigint, cents bigint) language plpgsql as
    $$ begin perform pg_sleep(0.6); return query select count(*), sum(total_cents) from public.orders; end $$"""
SLOW = """
    alter table seats rename to all_seats;
    create view seats as select all_seats.* from all_seats, pg_sleep(0.05);
    grant select on seats to public"""


async def _sale(exam: Examination) -> None:
    async with _shop() as shop:
        await shop.look.execute(REPORT)
        async with shop.open(exam) as opened:
            if not await _usable(exam, opened, "the shop", services=2):
                return
            seat_map, report = opened.outcome.value
            reports, maps = await _reports_and_maps(shop, report, seat_map)
            exam.criterion(
                "8 reports at once, 0.6 s each: all come to their end",
                all(map(_is_report, reports)),
                f"{sum(map(_is_report, reports))} of {len(reports)} do",
            )
            exam.criterion(
                "four customers meanwhile: each sees the seats in time",
                all(map(_is_map, maps)),
                _seen(maps),
            )
            lost = await opened.lost()

        await shop.look.execute(SLOW)
        async with shop.open(exam) as opened:
            seat_map, _ = opened.outcome.value
            crowd = await _at_once(seat_map, [(5,)] * 200, limit=BOUND)
            served = sum(map(_is_map, crowd))
            told = sum(one.value == "busy" for one in crowd if one.returned)
            exam.criterion(
                '200 customers at once, when a seat map takes 50 ms: each is answered or told "busy" in time',
                served + told == 200,
                _seen(crowd),
            )
            exam.criterion("ten of them or more see the seats", served >= 10, f"{served} do")
            lost += await opened.lost()
        exam.criterion("connections", not lost, _back(lost))

    if _refused([*reports, *maps, *crowd]):
        exam.trap("more")
    elif not all(map(_is_report, reports)):
        exam.trap("killed")
    elif any(one.hung for one in crowd):
        exam.trap("patient")
    elif not all(map(_is_map, maps)):
        exam.trap("starved")
    elif served < 10:
        exam.trap("refuses")


async def _reports_and_maps(
    shop: _Shop, report: Any, seat_map: Any
) -> tuple[list[Outcome], list[Outcome]]:
    """The customers come when a report is running."""

    async def both() -> tuple[list[Outcome], list[Outcome]]:
        office = asyncio.ensure_future(_calls(report, [()] * 8, limit=10))
        await shop.until(1, "wait_event = 'PgSleep'")
        maps = await _calls(seat_map, [(5,)] * 4, limit=BOUND)
        return await office, maps

    outcome = await attempt.run(both, limit=20)
    return (
        outcome.value if outcome.returned else ([Outcome(hung=True)] * 8, [Outcome(hung=True)] * 4)
    )


def _is_report(one: Outcome) -> bool:
    return one.returned and not isinstance(one.value, str) and bool(one.value)


def _is_map(one: Outcome) -> bool:
    return (
        one.returned
        and not isinstance(one.value, str)
        and hasattr(one.value, "__len__")
        and len(one.value) == 100
    )


def _seen(outcomes: Sequence[Outcome]) -> str:
    busy = sum(one.value == "busy" for one in outcomes if one.returned)
    late = sum(one.hung for one in outcomes)
    served = sum(map(_is_map, outcomes))
    parts = [f"{served} see the seats", f'{busy} are told "busy"']
    if late:
        parts.append(f"{late} were still waiting after {BOUND:g} s")
    if other := [
        one for one in outcomes if not one.hung and not _is_map(one) and one.value != "busy"
    ]:
        parts.append(f"{len(other)} others, the first: {other[0]}")
    return ", ".join(parts)


DRILL = Drill(
    NAME,
    "Exercise 03: the shop's pools on the morning of the sale",
    (
        Task(
            1,
            "prices, and connections that never come back",
            _prices,
            drill=NAME,
            hints=(
                "Follow the connection from acquire() to the end of quote() on every path: a price, no such seat, an error of "
                "PostgreSQL's, and any other way in which a coroutine can be left.",
                "A customer who closes the page cancels the request. CancelledError is raised at the await, and it is neither a "
                "PostgresError nor an Exception.",
                "There is a form of pool.acquire() that gives the connection back on every path, without a single release(): the one "
                "with `async with`.",
            ),
            traps={
                "path": "One path, at least, still keeps its connection. The pool holds it, too, so no garbage collector gives it back, "
                "and no time that passes.",
                "cancelled": "Whoever leaves during the query takes the connection along: a cancellation is no Exception.",
                "timeout": "The wait ends with an error now, and the connections are as lost as before: with each of them the service "
                "has one less, in the end none.",
                "more": "PostgreSQL was asked for more connections than this role may have (53300). A larger pool loses the same "
                "connections, later.",
                "closes": "Connections were closed and opened anew: a log-in for each bad request.",
            },
        ),
        Task(
            2,
            "orders that wait for each other",
            _orders,
            drill=NAME,
            hints=(
                "Count the connections that one order holds at the same time. Then think of four orders, and of a pool of four.",
                "take_seats() has a connection of its own, and a transaction of its own. What becomes of its seats when the payment "
                "fails?",
                "Let place_order() hand its connection to take_seats(), which acquires none.",
            ),
            traps={
                "hold": "Orders hold a connection and wait for another one, which other orders hold: they wait for ever. pool.fetch() "
                "and its kind acquire, too.",
                "gives up": "Orders failed with a TimeoutError although there was nothing wrong with them. A timeout, with another try "
                "or without, chooses who loses; it does not end the waiting for each other.",
                "more": "PostgreSQL was asked for more connections than this role may have (53300). And a larger pool stands still as "
                "well, with as many orders.",
                "apart": "The orders get through, and one that fails leaves its seats sold: they were sold in a transaction that is not "
                "the order's.",
            },
        ),
        Task(
            3,
            "a seat map that answers in time",
            _sale,
            drill=NAME,
            hints=(
                "Who may have all four connections at once, and for how long? And who limits the wait of those that get none?",
                "Two limits, for two things: the reports must never have all connections, and a customer must not wait longer than "
                "half a second. The office can wait.",
                'An asyncio.Semaphore around the reports; acquire(timeout=) in seat_map(), with "busy" for its TimeoutError. A second '
                'semaphore, looked at with locked(), says "busy" at once.',
            ),
            traps={
                "patient": "Customers waited, and nothing ended it. command_timeout and fetch(timeout=) begin when the query does, which "
                "is after the wait for a connection.",
                "starved": 'Customers were told "busy" while the shop had time for them: reports held the connections.',
                "refuses": "Hardly anybody saw the seats. Four connections could serve many more of them within half a second.",
                "killed": "Reports did not come to their end. A limit on time does not share the connections.",
                "more": "PostgreSQL was asked for more connections than this role may have (53300).",
            },
        ),
    ),
)
