"""One seat, one charge: no connection is held while the provider thinks, and no seat sold twice."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from .provider import BROKEN, REFUSED, Provider, provided
from .serving import (
    CONTESTED,
    FIRST_SEAT,
    LIMIT,
    POOL_SIZE,
    SESSIONS,
    UNKNOWN,
    Answer,
    Client,
    counted,
    is_deaf,
    served,
)

TITLE = "one seat, one charge"

HINTS = (
    "Which connections are in use while the provider thinks, and what do they hold?",
    "A seat has three states. What must be decided before the charge, for all processes? What has "
    "to be undone when the charge fails, in each way in which it can?",
    "pool.fetchval(CHANGE, seat, 'free', 'held'), then the call without a connection in a try "
    "with except httpx.HTTPError; then held to free, or a transaction with held to sold and the "
    "order.",
)

TRAPS = {
    "charged twice": "Two customers were charged for one seat: nothing in the database had said "
    "that it was taken.",
    "holds a connection": "Only as many customers as connections were with the provider at once: "
    "each held one meanwhile.",
    "larger pool": "More connections than POOL_SIZE says. With all processes, PostgreSQL runs out "
    "of them.",
    "stays taken": "The charge failed, and nobody can buy the seat any more.",
}

CUSTOMERS, SEATS = 200, 40
QUIET = 2.0  # seconds without a charge
ORDERS = "select count(*) from orders"
STATUS = "select status::text from seats where id = $1"
SOLD = "select count(*) from seats where event_id = 5 and status = 'sold'"


async def check(exam: Examination) -> None:
    async with provided() as (provider, url):
        with servers.open() as stack:
            async with served(exam, stack, processes=2, PROVIDER=url) as ask:
                if ask:
                    await _sale(exam, await admin(stack), provider, ask)


async def _sale(exam: Examination, look: Any, provider: Provider, ask: Client) -> None:
    before = await look.fetchval(ORDERS)
    tasks = [
        asyncio.create_task(
            ask(
                "POST",
                "/buy",
                customer=1 + number % 180,
                seat=FIRST_SEAT + number * SEATS // CUSTOMERS,
                limit=5 * LIMIT,
            )
        )
        for number in range(CUSTOMERS)
    ]

    def crowd() -> bool:
        nobody_comes = provider.now and time.monotonic() > provider.arrived + QUIET
        return bool(provider.now >= SEATS or nobody_comes or all(task.done() for task in tasks))

    await until(crowd, "the customers are with the provider", 2 * LIMIT)
    most, open_ = provider.most, await look.fetchval(f"{SESSIONS} true")
    holding = await look.fetchval(f"{SESSIONS} state = 'idle in transaction'")
    provider.gate.set()
    if not most and not any(task.done() for task in tasks):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        is_deaf(exam, f"of {CUSTOMERS} customers nobody got an answer, and nobody was charged")
        return
    rows = await _results(exam, look, provider, [await task for task in tasks], before)
    twice = sum(count > 1 for count in provider.charged.values())
    exam.criterion(
        f"{SEATS} customers wait for the provider at once, with {POOL_SIZE} connections for each "
        "process",
        most >= SEATS and open_ <= 2 * POOL_SIZE and not holding,
        f"{min(most, SEATS)} waited, {open_} connections, {holding} idle in transaction",
    )
    free = await _failures(exam, look, provider, ask, before + rows)
    if twice:
        exam.trap("charged twice")
    elif 0 < most <= 2 * POOL_SIZE or holding:
        exam.trap("holds a connection")
    elif open_ > 2 * POOL_SIZE:
        exam.trap("larger pool")
    elif not free:
        exam.trap("stays taken")


async def _results(
    exam: Examination, look: Any, provider: Provider, answers: list[Answer], before: int
) -> int:
    """How many orders are stored."""
    exam.criterion(
        f"{CUSTOMERS} customers, {SEATS} seats: each seat is sold to one, the others get 409",
        Counter(answers) == {200: SEATS, 409: CUSTOMERS - SEATS},
        counted(answers),
    )
    charges = provider.charged.total()
    exam.criterion(
        "nobody is charged for a seat that somebody else gets",
        max(provider.charged.values(), default=0) <= 1 and charges <= SEATS,
        f"{charges} charges for {SEATS} seats",
    )
    rows: int = await look.fetchval(ORDERS) - before
    sold = await look.fetchval(SOLD)
    exam.criterion(
        "each 200 has its order and its seat",
        rows == sold == answers.count(200),
        f"{rows} orders, {sold} seats sold",
    )
    return rows


async def _failures(
    exam: Examination, look: Any, provider: Provider, ask: Client, orders: int
) -> bool:
    """Whether the seats of those who are not charged are free again."""
    await look.execute(f"update seats set status = 'held' where id = {CONTESTED}")
    left = []
    for customer, wanted, what in (
        (REFUSED, 402, "the card is refused: 402"),
        (BROKEN, 502, "the provider hangs up: 502"),
    ):
        seat = FIRST_SEAT + SEATS + customer - REFUSED
        answer = await ask("POST", "/buy", customer=customer, seat=seat)
        left.append(await look.fetchval(STATUS, seat))
        exam.criterion(
            f"{what}, and the seat is free again",
            answer == wanted and left[-1] == "free",
            f"{answer}, the seat is {left[-1]}",
        )
    more = await look.fetchval(ORDERS) - orders
    exam.criterion("after 402 and 502 there is no order", not more, f"{more} stored")
    others = await look.fetchval(STATUS, CONTESTED)
    exam.criterion(
        "a seat that somebody else holds stays held", others == "held", f"it is {others}"
    )
    exam.criterion(
        "each charge is asked for once, refused or not",
        provider.asked[REFUSED] == provider.asked[BROKEN] == 1,
        f"{provider.asked[REFUSED]} x, refused; {provider.asked[BROKEN]} x, the provider hangs up",
    )
    seat = FIRST_SEAT + SEATS + 2
    answer = await ask("POST", "/buy", customer=UNKNOWN, seat=seat)
    now = await look.fetchval(STATUS, seat)
    exam.criterion(
        "an unknown customer: 404, nothing is charged, and the seat is free",
        answer == 404 and not provider.asked[UNKNOWN] and now == "free",
        f"{answer}, {provider.asked[UNKNOWN]} charges, the seat is {now}",
    )
    return set(left) == {"free"}
