"""Tests that find bugs: in any order, on a busy morning, in a shop with one bug after another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ...checking.connections import admin
from ...checking.examination import Examination
from ...servers.server import ROLE
from .bench import LIMIT, Bench, bench, changes, first, of

TITLE = "tests that find bugs, in any order"

HINTS = (
    "For each line of a test: who else could have changed what it reads? And which line of the "
    "shop could be wrong without any test noticing?",
    "A test that makes its own event and its own seats shares no row with anybody. It asks for "
    "what it has made: by the id that came back, not by a number, and not by a count of the whole "
    "table.",
    "A fixture event(conn) inserts an event with a seat and returns its id. After sell: the "
    "seat's status, the order's customer_id and total_cents, its payment's amount_cents and "
    "method; a second sell raises LookupError. After refund: the seat is free, the order is gone.",
)

TRAPS = {
    "skips": "What is skipped, or expected to fail, finds nothing.",
    "commits": "The tests have committed: their rows are in the database now, for every later run.",
    "order": "A test needs another one that ran before it.",
    "numbers": "The tests expect numbers of an empty morning: an id, a count, a seat that nobody "
    "has bought.",
    "shared rows": "The tests change rows that are everybody's, and wait for anyone who has locked "
    "them.",
    "finds too little": "Green, with a bug in the shop: a test that cannot fail says nothing.",
}

FILE = "test_sales.py"
BUGS = (
    "seat_stays_free",
    "sold_twice",
    "wrong_price",
    "no_payment",
    "wrong_amount",
    "wrong_method",
    "wrong_customer",
    "another_error",
    "refund_keeps_the_seat",
    "refund_keeps_the_order",
)
HELD = (
    "select from seats for update; select from orders for update; select from payments for update"
)
# What is committed in the meantime, on a morning like any other.
MORNING = """
    insert into orders (customer_id, total_cents, basket) values (2, 0, '{}'), (3, 0, '{}');
    update seats set status = 'sold' where event_id = 5 and label in ('A1', 'A2', 'B1', 'J10')"""

OTHERS = 'insert into orders (customer_id, total_cents, basket) values (3, 0, \'{"of": "others"}\')'


async def check(exam: Examination) -> None:
    async with bench(exam, FILE, "conftest.py") as there:
        before = await there.state()
        alone = await there.run(FILE)
        order = backwards = again = busy = bugs = alone
        if not alone.status:
            backwards = await there.run(FILE, BACKWARDS="1")
            await there.admin.execute(MORNING)
            before_again = await there.state()
            async with _others_order(there):
                again, order = await asyncio.gather(there.run(FILE), there.run(FILE, BACKWARDS="1"))
            after = await there.state()
            holder = await admin(there.stack)
            await holder.execute(f"begin; {HELD}")
            await there.admin.execute(f"alter role {ROLE} set lock_timeout = '400ms'")
            busy = await there.run(FILE)
            await there.admin.execute(f"alter role {ROLE} reset lock_timeout")
            holder.terminate()
            bugs = await there.run(FILE, limit=len(BUGS) * LIMIT, BUGS=",".join(BUGS))
        else:
            before_again, after = before, await there.state()

    passed = of(alone, "PASSED")
    exam.criterion("all tests pass, on a shop without a bug", not alone.status, first(alone))
    if alone.status:
        if after != before:
            exam.trap("commits")
        return
    skips = next(
        (
            run
            for run in (alone, backwards, again, order, busy, bugs)
            if of(run, "SKIPPED", "XFAIL", "XPASS")
        ),
        None,
    )
    exam.criterion(
        "no test is skipped or expected to fail, in no run", not skips, (skips or alone).total
    )
    exam.criterion("from the last to the first", not backwards.status, first(backwards))
    exam.criterion(
        "on the same database once more, while others store orders, in two processes at once",
        not again.status and not order.status,
        first(again if again.status else order),
    )
    exam.criterion(
        "while somebody else is in the middle of changing the shop's seats and orders",
        not busy.status,
        first(busy),
    )
    exam.criterion(
        "nothing is left in the database", after == before_again, changes(before_again, after)
    )
    found = {
        bug for bug in BUGS if any(f"bug:{bug}:" in line for line in of(bugs, "FAILED", "ERROR"))
    }
    ran = bool(of(bugs, "FAILED", "ERROR", "PASSED"))
    exam.criterion(
        "a bug in the shop makes a test fail",
        len(found) == len(BUGS),
        f"{len(found)} of {len(BUGS)} bugs are found" if ran else first(bugs),
    )
    if skips:
        exam.trap("skips")
    elif after != before_again:
        exam.trap("commits")
    elif backwards.status:
        exam.trap("order")
    elif again.status or order.status:
        exam.trap("numbers")
    elif busy.status:
        exam.trap("shared rows")
    elif passed and not bugs.ended and len(found) < len(BUGS):
        exam.trap("finds too little")


@contextlib.asynccontextmanager
async def _others_order(there: Bench) -> AsyncIterator[None]:
    """Others store one order after the other meanwhile. They are gone afterwards."""
    over = False

    async def order() -> None:
        while not over:
            await there.admin.execute(OTHERS)
            await asyncio.sleep(0.001)

    others = asyncio.create_task(order())
    try:
        yield
    finally:
        over = True
        await others
        await there.admin.execute("delete from orders where basket ->> 'of' = 'others'")
