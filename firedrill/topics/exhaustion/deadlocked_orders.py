"""Orders that wait for each other: each holds a connection, and asks for a second one."""

from __future__ import annotations

import asyncpg

from ...checking.examination import Examination
from .shop import at_once, back, ended, open_shop, opens, refused, timed_out

TITLE = "orders that wait for each other"

HINTS = (
    "Count the connections that one order holds at the same time. Then think of four orders, and "
    "of a pool of four.",
    "take_seats() has a connection of its own, and a transaction of its own. What becomes of its "
    "seats when the payment fails?",
    "Let place_order() hand its connection to take_seats(), which acquires none.",
)

TRAPS = {
    "hold": "Orders hold a connection and wait for another one, which other orders hold: they "
    "wait for ever. pool.fetch() and its kind acquire, too.",
    "gives up": "Orders failed with a TimeoutError although there was nothing wrong with them. A "
    "timeout, with another try or without, chooses who loses; it does not end the waiting for "
    "each other.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300). And a "
    "larger pool stands still as well, with as many orders.",
    "apart": "The orders get through, and one that fails leaves its seats sold: they were sold in "
    "a transaction that is not the order's.",
}

SEATS = [[f"{row}{seat}", f"{row}{seat + 1}"] for row in "ABCDEFGH" for seat in (1, 3, 5, 7, 9)]
STATE = """
    select (select count(*) from orders where id > 97),
           (select count(*) from payments where order_id > 97),
           (select count(*) from seats where event_id = 5 and status = 'sold')"""


async def check(exam: Examination) -> None:
    async with open_shop() as shop, shop.open(exam) as opened:
        if not opens(exam, opened, "the box office"):
            return
        place_order = opened.outcome.value
        first = await at_once(exam, place_order, [(1, SEATS[0], "card")], limit=3)
        state = tuple(await shop.look.fetchrow(STATE))
        exam.criterion(
            "one order alone: it is placed and paid, its seats are sold",
            first[0].returned and state == (1, 1, 2),
            f"orders {state[0]}, payments {state[1]}, seats {state[2]}"
            if first[0].returned
            else str(first[0]),
        )

        rest = SEATS[1:]
        orders = [(2 + n, labels, "card") for n, labels in enumerate(rest)]
        crowd = await at_once(exam, place_order, orders, limit=5)
        state = tuple(await shop.look.fetchrow(STATE))
        exam.criterion(
            f"{len(rest)} orders at once: all are placed",
            state == (len(SEATS), len(SEATS), 2 * len(SEATS))
            and all(one.returned for one in crowd),
            f"{ended(crowd)}; orders in the table: {state[0] - 1}",
        )

        await opened.lost()
        before = tuple(await shop.look.fetchrow(STATE))
        unpaid = await at_once(exam, place_order, [(1, ["J1", "J2"], "shells")], limit=3)
        after = tuple(await shop.look.fetchrow(STATE))
        failed = isinstance(unpaid[0].error, asyncpg.CheckViolationError)
        left = tuple(now - then for now, then in zip(after, before, strict=True))
        exam.criterion(
            "a payment that PostgreSQL refuses: the error arrives, and nothing of the order stays",
            failed and not any(left),
            f"left behind: orders {left[0]}, payments {left[1]}, seats {left[2]}"
            if failed
            else str(unpaid[0]),
        )
        lost = await opened.lost()
        exam.criterion("connections", not lost, back(lost))

    everything = [*first, *crowd, *unpaid]
    if refused(everything):
        exam.trap("more")
    elif timed_out(everything):
        exam.trap("gives up")
    elif any(one.hung for one in everything):
        exam.trap("hold")
    elif any(left):
        exam.trap("apart")
