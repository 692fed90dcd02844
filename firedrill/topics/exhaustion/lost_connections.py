"""Prices, and connections that never come back, on four paths through one function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

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
)

TITLE = "prices, and connections that never come back"

HINTS = (
    "Follow the connection from acquire() to the end of quote() on every path: a price, no such "
    "seat, an error of PostgreSQL's, and any other way in which a coroutine can be left.",
    "A customer who closes the page cancels the request. CancelledError is raised at the await, "
    "and it is neither a PostgresError nor an Exception.",
    "There is a form of pool.acquire() that gives the connection back on every path, without a "
    "single release(): the one with `async with`.",
)

TRAPS = {
    "path": "One path, at least, still keeps its connection. The pool holds it, too, so no "
    "garbage collector gives it back, and no time that passes.",
    "cancelled": "Whoever leaves during the query takes the connection along: a cancellation is "
    "no Exception.",
    "timeout": "The wait ends with an error now, and the connections are as lost as before: with "
    "each of them the service has one less, in the end none.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300). A larger "
    "pool loses the same connections, later.",
    "closes": "Connections were closed and opened anew: a log-in for each bad request.",
}

GOOD, UNKNOWN, NUMBER = (5, ["A1", "A2"]), (5, ["A1", "K1"]), (5, [7])
LEFT = "customers who leave during the query"
PRICE = "select sum(price_cents) from seats where event_id = 5 and label in ('A1', 'A2')"
WAITS_FOR_A_LOCK = "wait_event_type = 'Lock'"


async def check(exam: Examination) -> None:
    lost: dict[str, int] = {}
    async with open_shop() as shop:
        price = await shop.look.fetchval(PRICE)

        async def path(what: str, request: Any, right: Callable[[Outcome], bool]) -> bool:
            """As many requests at once as there are connections, on a new pool: none has to wait
            for another's leak."""
            async with shop.open(exam) as opened:
                if not opens(exam, opened, "the price service"):
                    return False
                before = await shop.sessions()
                outcomes = await at_once(exam, opened.outcome.value, [request] * SLOTS, limit=3)
                lost[what] = await opened.lost()
                stayed = before <= await shop.sessions()
                met = all(right(one) for one in outcomes)
                exam.criterion(
                    what,
                    met and not lost[what] and stayed,
                    f"{outcomes[0] if not met else 'right'}; connections: "
                    + (back(lost[what]) if stayed else "some were closed"),
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
        lost[LEFT] = await _leave_during_the_query(exam, shop)
        exam.criterion(LEFT, not lost[LEFT], f"connections: {back(lost[LEFT])}")

        async with shop.open(exam) as opened:
            requests = [(GOOD, UNKNOWN, GOOD, NUMBER)[n % 4] for n in range(200)]
            outcomes = await at_once(exam, opened.outcome.value, requests, limit=5)
        exam.criterion(
            "200 requests at once, half of them bad: each good one has its price",
            all(one.value == price for one in outcomes[::2]),
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


async def _leave_during_the_query(exam: Examination, shop: Shop) -> int:
    """How many connections are lost when all requests are cancelled while they wait for a lock."""
    async with shop.open(exam) as opened:
        blocker = await admin(shop.stack)
        await blocker.execute("begin; lock table seats in access exclusive mode")
        customers = call(exam, opened.outcome.value, [GOOD] * SLOTS, limit=4)
        await shop.wait_for(SLOTS, WAITS_FOR_A_LOCK)
        for customer in customers:
            customer.cancel()
        await results(customers)
        await blocker.execute("rollback")
        await blocker.close()
        return await opened.lost()
