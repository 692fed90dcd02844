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
from .paid_or_not import (
    FAILS_AFTER_THE_CHARGE,
    OF,
    SEATS,
    STATUS,
    after_the_charge,
    buy,
    buy_in_silence,
    patience,
    seat_of,
    silence,
)
from .provider import BROKEN, BUSY, FAILING, REFUSED, SLOW, Provider, provided
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
    "to be undone when the charge fails, in each way in which it can? And when nobody knows "
    "whether it failed?",
    "pool.fetchval(CHANGE, seat, 'free', 'held'), then the call without a connection in a try: "
    "after httpx.TimeoutException the seat stays held, after another httpx.HTTPError or any status "
    "but 200 it becomes free; else a transaction with held to sold and the order.",
)

TRAPS = {
    "charged twice": "Two customers were charged for one seat: nothing in the database had said "
    "that it was taken.",
    "holds a connection": "While the provider thinks, connections are in use: with the provider "
    "there were no more customers at once than there are connections, or a transaction was open.",
    "larger pool": "More connections than POOL_SIZE says. With all processes, PostgreSQL runs out "
    "of them.",
    "stays taken": "The charge failed, and nobody can buy the seat any more.",
    "sells what may be paid": "The provider did not answer, and had charged the card. The seat is "
    "free, and somebody else will pay for it, too.",
    "half": "Something failed after the charge, and the seat is sold without an order, or there is "
    "an order and no sold seat: they are stored in two transactions.",
}

CUSTOMERS = 200
QUIET = 2.0  # seconds without a charge
# Of the new orders: whose they are, and their totals; what was sold costs as much.
NEW = "select customer_id, total_cents from orders where id > $1"
PRICES = "select price_cents from seats where event_id = 5 and status = 'sold'"


async def check(exam: Examination) -> None:
    async with provided() as (provider, url):
        with servers.open() as stack:
            async with served(exam, stack, processes=2, PROVIDER=url) as ask:
                if ask:
                    await _sale(exam, await admin(stack), provider, ask)


async def _sale(exam: Examination, look: Any, provider: Provider, ask: Client) -> None:
    await look.execute(FAILS_AFTER_THE_CHARGE)
    last = await look.fetchval("select max(id) from orders")
    silent = asyncio.create_task(buy_in_silence(ask))
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

    def nobody_comes() -> bool:
        return bool(provider.now and time.monotonic() > provider.arrived + QUIET)

    def crowd() -> bool:
        return provider.now >= SEATS or nobody_comes() or all(task.done() for task in tasks)

    await until(crowd, "the customers are with the provider", 2 * LIMIT)
    quiet = nobody_comes()
    most, open_ = provider.most, await look.fetchval(f"{SESSIONS} true")
    holding = await look.fetchval(f"{SESSIONS} state = 'idle in transaction'")
    provider.gate.set()
    if not most and not any(task.done() for task in tasks):
        for task in (silent, *tasks):
            task.cancel()
        await asyncio.wait([silent, *tasks])
        is_deaf(exam, f"of {CUSTOMERS} customers nobody got an answer, and nobody was charged")
        return
    await _results(exam, look, provider, [await task for task in tasks], last)
    slow = asyncio.create_task(buy(ask, SLOW, limit=5 * LIMIT))
    twice = sum(count > 1 for count in provider.charged.values())
    exam.criterion(
        f"{SEATS} customers wait for the provider at once, with {POOL_SIZE} connections for each "
        "process",
        most >= SEATS and open_ <= 2 * POOL_SIZE and not holding,
        f"{min(most, SEATS)} waited, {open_} connections, {holding} idle in transaction",
    )
    free = await _failures(exam, look, provider, ask, last)
    half = await after_the_charge(exam, look, provider, ask, last)
    kept = await silence(exam, look, silent)
    await patience(exam, look, slow, last)
    if twice:
        exam.trap("charged twice")
    elif holding or (quiet and 0 < most <= 2 * POOL_SIZE):
        exam.trap("holds a connection")
    elif open_ > 2 * POOL_SIZE:
        exam.trap("larger pool")
    elif not free:
        exam.trap("stays taken")
    elif half:
        exam.trap("half")
    elif not kept:
        exam.trap("sells what may be paid")


async def _results(
    exam: Examination, look: Any, provider: Provider, answers: list[Answer], last: int
) -> None:
    exam.criterion(
        f"{CUSTOMERS} customers, {SEATS} seats: each seat is sold to one, the others get 409",
        Counter(answers) == {200: SEATS, 409: CUSTOMERS - SEATS},
        counted(answers),
    )
    charges = sum(provider.charged[FIRST_SEAT + seat] for seat in range(SEATS))
    exam.criterion(
        "nobody is charged for a seat that somebody else gets",
        max(provider.charged.values(), default=0) <= 1 and charges <= SEATS,
        f"{charges} charges for {SEATS} seats",
    )
    rows = await look.fetch(NEW, last)
    prices = [price for (price,) in await look.fetch(PRICES)]
    paid = Counter(1 + at % 180 for at, answer in enumerate(answers) if answer == 200)
    right = sum((Counter(row[0] for row in rows) & paid).values())
    exam.criterion(
        "each 200 has its seat, and its customer an order",
        len(prices) == answers.count(200) and Counter(row[0] for row in rows) == paid,
        f"{len(rows)} orders, {right} of them by customers who got a 200, {len(prices)} seats sold",
    )
    exam.criterion(
        "the total of each order is the price of its seat",
        sorted(row[1] for row in rows) == sorted(prices),
        f"together {sum(row[1] for row in rows)} of {sum(prices)}",
    )


async def _failures(
    exam: Examination, look: Any, provider: Provider, ask: Client, last: int
) -> bool:
    """Whether the seats of those who are not charged are free again."""
    await look.execute(f"update seats set status = 'held' where id = {CONTESTED}")
    left: list[str] = []
    for customer, wanted, what in (
        (REFUSED, 402, "the card is refused: 402"),
        (BROKEN, 502, "the provider hangs up: 502"),
        (FAILING, 502, "the provider answers 500: 502"),
        (BUSY, 502, "the provider answers 429: 502"),
    ):
        answer = await buy(ask, customer)
        now = await look.fetchval(STATUS, seat_of(customer))
        exam.criterion(
            f"{what}, and the seat is free again",
            answer == wanted and now == "free",
            f"{answer}, the seat is {now}",
        )
        if answer != 200:  # who was told that it is theirs has no seat that nobody can buy
            left.append(now)
    more = 0
    for customer in (REFUSED, BROKEN, FAILING, BUSY):
        more += await look.fetchval(OF, customer, last)
    exam.criterion("after 402 and 502 there is no order", not more, f"{more} stored")
    others = await look.fetchval(STATUS, CONTESTED)
    exam.criterion(
        "a seat that somebody else holds stays held", others == "held", f"it is {others}"
    )
    exam.criterion(
        "each charge is asked for once, refused or not",
        all(provider.asked[customer] == 1 for customer in (REFUSED, BROKEN, FAILING, BUSY)),
        f"{provider.asked[REFUSED]} x, refused; {provider.asked[BROKEN]} x, the provider hangs up; "
        f"{provider.asked[FAILING]} x, it fails; {provider.asked[BUSY]} x, it is busy",
    )
    seat = FIRST_SEAT + SEATS + 12
    answer = await buy(ask, UNKNOWN, seat=seat)
    now = await look.fetchval(STATUS, seat)
    exam.criterion(
        "an unknown customer: 404, nothing is charged, and the seat is free",
        answer == 404 and not provider.asked[UNKNOWN] and now == "free",
        f"{answer}, {provider.asked[UNKNOWN]} charges, the seat is {now}",
    )
    return set(left) <= {"free"}
