"""Orders that wait for each other: each holds a connection, and asks for a second one."""

from __future__ import annotations

from typing import Any

from ...checking.connections import admin
from ...checking.examination import Examination, Running
from ...checking.outcome import Outcome
from ...checking.waiting import until
from .placed import Order, State, is_written, less, parts, seen, state_of
from .shop import (
    Opened,
    Shop,
    at_once,
    back,
    call,
    ended,
    open_shop,
    opens,
    refused,
    timed_out,
    told,
)

TITLE = "orders that wait for each other"

HINTS = (
    "Count the connections that one order holds at the same time. Then think of four orders, and "
    "of a pool of four.",
    "take_seats() has its own connection, and its own transaction. What happens to its seats when "
    "the payment fails? And how many rows come back if a seat is not free?",
    "Let place_order() pass its connection to take_seats(), which acquires none and raises an "
    "error unless each label has given a row.",
)

TRAPS = {
    "hold": "Orders came to a standstill. An order that holds a connection and waits for another "
    "one, which another order holds, waits forever. pool.fetch() and its kind acquire, too.",
    "gives up": "Orders failed with a TimeoutError although there was nothing wrong with them. A "
    "timeout, with another try or without, chooses who loses; it does not end the waiting for "
    "each other.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300). A larger "
    "pool stands still as well, with as many orders.",
    "apart": "Seats were sold in a transaction that is not the order's: others saw them sold "
    "without an order, or they stayed sold after the order had failed.",
    "twice": "An order was placed for a seat that was not free. A look at the seat says only what "
    "it was then; the UPDATE has to ask for status = 'free', and its rows have to be counted.",
    "one by one": "Orders for other seats had to wait as well. What several orders need at the "
    "same time is a row each, not the table and not the whole shop.",
}

SEATS = [[f"{row}{seat}", f"{row}{seat + 1}"] for row in "ABCDEFGH" for seat in (1, 3, 5, 7, 9)]


async def check(exam: Examination) -> None:
    async with open_shop() as shop, shop.open(exam) as opened:
        if not opens(exam, opened, "the box office"):
            return
        place_order = opened.outcome.value
        single: Order = (1, SEATS[0], "card")
        first = await at_once(exam, place_order, [single], limit=3)
        state = await state_of(shop.look)
        exam.criterion(
            "one order alone: it is placed and paid, its seats are sold",
            state == (1, 1, 2) and await is_written(shop, first[0], single),
            await seen(shop, first[0], state),
        )

        orders: list[Order] = [
            (2 + n, labels, ("card", "transfer", "voucher")[n % 3])
            for n, labels in enumerate(SEATS[1:])
        ]
        crowd = await at_once(exam, place_order, orders, limit=5)
        state = await state_of(shop.look)
        written = [
            await is_written(shop, one, order) for one, order in zip(crowd, orders, strict=True)
        ]
        exam.criterion(
            f"{len(orders)} orders at once: all are placed, each with its customer, price, payment",
            state == (len(SEATS), len(SEATS), 2 * len(SEATS)) and all(written),
            f"{ended(crowd)}; orders in the table: {state[0] - 1}, as they should be: "
            f"{sum(written)}",
        )

        await opened.lost()
        unpaid, left = await _fails(exam, shop, place_order, (1, ["J1", "J2"], "shells"))
        exam.criterion(
            "a payment that PostgreSQL refuses: an error arrives, and nothing of the order stays",
            told(unpaid) and not any(left),
            f"{unpaid}; left behind: {parts(left)}",
        )
        taken, remains = await _fails(exam, shop, place_order, (1, ["A1", "J2"], "card"))
        exam.criterion(
            "one of two seats is sold: an error arrives, and nothing of the order stays",
            told(taken) and not any(remains),
            f"{taken}; left behind: {parts(remains)}",
        )
        raced, other = await _race(exam, shop, place_order)
        early = await _leaves(exam, shop, opened)
        lost = await opened.lost()
        exam.criterion("connections", not lost, back(lost))

    everything = [*first, *crowd, unpaid, taken]
    if refused(everything):
        exam.trap("more")
    elif timed_out(everything):
        exam.trap("gives up")
    elif any(one.hung for one in everything):
        exam.trap("hold")
    elif any(left) or any(early):
        exam.trap("apart")
    elif taken.returned or raced.returned:
        exam.trap("twice")
    elif other.hung:
        exam.trap("one by one")


async def _race(exam: Examination, shop: Shop, place_order: Any) -> tuple[Outcome, Outcome]:
    """Another box office sells J3 first; meanwhile an order for other seats comes in."""
    rival = await admin(shop.stack)
    await rival.execute("begin")
    await rival.execute("update seats set status = 'sold' where event_id = 5 and label = 'J3'")
    before = await state_of(shop.look)
    waiting = call(exam, place_order, [(1, ["J3", "J4"], "card")], limit=6)[0]
    await _waits(shop, waiting)
    other = (await at_once(exam, place_order, [(2, ["J5", "J6"], "card")], limit=2))[0]
    exam.criterion(
        "meanwhile an order for other seats is placed, in two seconds",
        other.returned,
        str(other),
        timed=True,
    )
    await rival.execute("commit")
    await rival.close()
    raced = await waiting
    whole = (1, 1, 3) if other.returned else (0, 0, 1)
    left = less(await state_of(shop.look), before)
    exam.criterion(
        "another box office sells a seat while the order waits for it: an error arrives",
        told(raced) and left == whole,
        f"{raced}; left behind: {parts(less(left, whole))}",
    )
    return raced, other


async def _leaves(exam: Examination, shop: Shop, opened: Opened) -> State:
    """The customer leaves before the payment. Returns what others saw of the order until then."""
    blocker = await admin(shop.stack)
    before = await state_of(shop.look)
    await blocker.execute("begin; lock table payments in access exclusive mode")
    customer = call(exam, opened.outcome.value, [(3, ["J7", "J8"], "card")], limit=5)[0]
    await _waits(shop, customer)
    early = less(await state_of(blocker), before)
    customer.cancel()
    await customer
    await blocker.execute("rollback")
    await blocker.close()
    await opened.lost()
    left = less(await state_of(shop.look), before)
    exam.criterion(
        "a customer who leaves before the payment: nothing of the order is seen, or all of it",
        not any(early) and left in ((0, 0, 0), (1, 1, 2)),
        f"seen before the payment: {parts(early)}; afterwards: {parts(left)}",
    )
    return early


async def _waits(shop: Shop, running: Running) -> None:
    async def does() -> bool:
        return running.done() or bool(await shop.sessions("wait_event_type = 'Lock'"))

    await until(does, "the order waits for a lock", 3)


async def _fails(
    exam: Examination, shop: Shop, place_order: Any, order: Order
) -> tuple[Outcome, State]:
    """The outcome of an order that cannot be placed, and what is there of it."""
    before = await state_of(shop.look)
    outcome = (await at_once(exam, place_order, [order], limit=3))[0]
    return outcome, less(await state_of(shop.look), before)
