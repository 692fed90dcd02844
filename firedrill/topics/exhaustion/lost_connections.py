"""Prices, and connections that never come back, on four paths through one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .shop import (
    SLOTS,
    Shop,
    at_once,
    back,
    call,
    ended,
    open_shop,
    opens,
    refused,
    results,
    timed_out,
    told,
)

TITLE = "prices, and connections that never come back"

HINTS = (
    "Follow the connection from acquire() to the end of quote() on every path: a price, no such "
    "seat, an error from PostgreSQL, and every other way to leave a coroutine.",
    "A customer who closes the page cancels the request. CancelledError is raised at the await, "
    "and it is neither a PostgresError nor an Exception.",
    "One form of pool.acquire() gives the connection back on every path, without a single "
    "release(): the one with `async with`.",
)

TRAPS = {
    "path": "At least one path keeps its connection. The pool holds it as well, so neither the "
    "garbage collector nor time brings it back.",
    "cancelled": "A customer who left during the query kept the connection: either nothing gives "
    "it back (a cancellation is no Exception), or the query goes on without its customer.",
    "timeout": "The wait now ends with an error, and the connections are still lost: each lost "
    "one leaves the service with one fewer, in the end with none.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300). A larger "
    "pool loses the same connections, later.",
    "closes": "Connections were closed where they should go back to the pool: that costs a log-in "
    "for the next request.",
}

GOOD, NUMBER = (5, ["A1", "A2"]), (5, [7])
UNKNOWN = (5, ["A1", "K'1"])  # as it comes from a web form
OTHER = (3, ["A1", "J9"])
LEFT = "customers who leave during the query: their connections are back at once"
PRICE = "select sum(price_cents) from seats where event_id = $1 and label = any($2)"
WAITS_FOR_A_LOCK = "wait_event_type = 'Lock'"


async def check(exam: Examination) -> None:
    lost: dict[str, int] = {}
    async with open_shop() as shop:
        price = await shop.look.fetchval(PRICE, *GOOD)
        other = await shop.look.fetchval(PRICE, *OTHER)

        async def path(what: str, request: Any, right: Callable[[Outcome], bool]) -> bool:
            """As many requests at once as there are connections, on a new pool: none has to wait
            for another's leak."""
            async with shop.open(exam) as opened:
                if not opens(exam, opened, "the price service"):
                    return False
                before = await shop.sessions()
                outcomes = await at_once(exam, opened.outcome.value, [request] * SLOTS, limit=3)
                lost[what] = await opened.lost()
                _criterion(exam, what, outcomes, right, lost[what], before, await shop.sessions())
            return True

        if not await path("two seats have their price", GOOD, lambda one: one.value == price):
            return
        await path(
            "a seat that there is not: None",
            UNKNOWN,
            lambda one: one.returned and one.value is None,
        )
        await path("a label that is no text: an error arrives", NUMBER, told)
        lost[LEFT] = await _leave_during_the_query(exam, shop)

        async with shop.open(exam) as opened:
            requests = [(GOOD, UNKNOWN, OTHER, NUMBER)[n % 4] for n in range(200)]
            outcomes = await at_once(exam, opened.outcome.value, requests, limit=5)
        exam.criterion(
            "200 requests at once, for two events, half of them bad: each good one has its price",
            all(one.value == price for one in outcomes[::4])
            and all(one.value == other for one in outcomes[2::4]),
            ended(outcomes[::2]),
        )

    if exam.fallen:
        return
    if refused(outcomes):
        exam.trap("more")
    elif timed_out(outcomes):
        exam.trap("timeout")
    elif sum(lost.values()) > lost[LEFT]:
        exam.trap("path")
    elif lost[LEFT]:
        exam.trap("cancelled")


def _criterion(
    exam: Examination,
    what: str,
    outcomes: Sequence[Outcome],
    right: Callable[[Outcome], bool],
    lost: int,
    before: set[int],
    after: set[int],
) -> None:
    """The answers are right, and the pool has the connections that it had, or its first ones."""
    stayed = before <= after and bool(after)
    wrong = [str(one) for one in outcomes if not right(one)]
    connections = back(lost) if stayed else "some were closed"
    exam.criterion(
        what,
        not wrong and not lost and stayed,
        "; ".join([*wrong[:1], f"connections: {connections}"]),
    )
    if not stayed:
        exam.trap("closes")


async def _leave_during_the_query(exam: Examination, shop: Shop) -> int:
    """How many connections are lost when all requests are cancelled while they wait for a lock."""
    async with shop.open(exam) as opened:
        blocker = await admin(shop.stack)
        await blocker.execute("begin; lock table seats in access exclusive mode")
        customers = call(exam, opened.outcome.value, [GOOD] * SLOTS, limit=4)
        await shop.wait_for(SLOTS, WAITS_FOR_A_LOCK)
        before = await shop.sessions()
        for customer in customers:
            customer.cancel()
        await results(customers)
        lost = await opened.lost()
        after = await shop.sessions()
        if not lost:  # its client has gone where PostgreSQL still waits: it was not asked to stop
            after -= await shop.sessions(WAITS_FOR_A_LOCK)
        _criterion(exam, LEFT, (), bool, lost, before, after)
        await blocker.execute("rollback")
        await blocker.close()
        return lost
