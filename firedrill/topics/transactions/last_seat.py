"""The last seat: fifty buyers at three levels, and a box office that is another program."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from .locks import end_who_waits, waits_for_a_lock
from .shop import BOOKS, SALES, Shop

TITLE = "the last seat"

HINTS = (
    "How many transactions can have read `free` before the first of them commits?",
    "Nobody else may change the seat between the reading and the decision: lock the row before "
    "you decide, or by the statement that decides. At Read Committed, a statement that has waited "
    "for a row lock looks at the row again; at the higher levels it gets 40001.",
    "`update seats set status = 'sold' where id = $1 and status = 'free' returning price_cents` "
    "decides and locks in one statement. The level that this relies on can stand in the code: "
    'conn.transaction(isolation="read_committed").',
)

TRAPS = {
    "looks first": "A seat was sold more than once: several buyers had read `free` before the "
    "first of them had written.",
    "this process": "Another program sold the seat at the same moment, and your code sold it "
    "again: a lock that the other program does not take does not keep it out.",
    "too early": "A customer was told no while another sale was under way. That sale was rolled "
    "back, and the seat is free.",
    "lock table": "Somebody was buying another seat, and this sale waited for that: its lock "
    "covers more than the seat.",
    "level alone": "Nothing was oversold, and buyers got SerializationError instead of an answer.",
}

BUYERS = 50
LEVELS = {"read committed": 20, "repeatable read": 3, "serializable": 3}  # times


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        shop = await Shop.open(stack)
        conflicts = await _rush(exam, shop)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=4, max_size=4)
        other = await asyncpg.connect(stack.postgres.dsn())

        seat, neighbour = shop.next_seat(), shop.next_seat()
        await other.execute(f"begin; update seats set status = 'held' where id = {neighbour}")
        waiting = exam.start(pool, neighbour, 8, limit=8)
        await waits_for_a_lock(stack, waiting)
        running = exam.start(pool, seat, 7, limit=3)
        is_behind = await waits_for_a_lock(stack, running, sessions=2)
        if is_behind:
            await other.execute("rollback")
        next_to_it = await running
        await other.execute("rollback")
        await waiting
        exam.criterion(
            "a sale of the seat next to it waits for the box office: this one waits for neither",
            not is_behind and await shop.is_right(seat, [next_to_it], 7),
            "it waited for a lock" if is_behind else f"{next_to_it}; {shop.last_sale()}",
        )

        seat = shop.next_seat()
        nobody = await exam.run(pool, seat, 9999)
        after = await shop.look.fetchval("select status from seats where id = $1", seat)
        exam.criterion(
            "a customer who does not exist: the error arrives, and the seat is free",
            isinstance(nobody.error, asyncpg.ForeignKeyViolationError) and after == "free",
            f"{nobody}, the seat is {after}",
        )

        seat = shop.next_seat()
        await other.execute(f"begin; update seats set status = 'sold' where id = {seat}")
        racing = exam.start(pool, seat, 7, limit=8)
        await waits_for_a_lock(stack, racing)
        await other.execute("commit")
        late = await racing
        twice = await shop.look.fetchval(SALES, str(seat))
        exam.criterion(
            "the box office, another program, sells it at the same moment: None",
            late.returned and late.value is None and not twice,
            str(late) + (", sold a second time" if twice else ""),
        )
        seat = shop.next_seat()
        await other.execute(f"begin; update seats set status = 'sold' where id = {seat}")
        racing = exam.start(pool, seat, 7, limit=8)
        await waits_for_a_lock(stack, racing)
        await other.execute("rollback")
        free_again = await racing
        exam.criterion(
            "the box office gives it back at the last moment: it is sold",
            await shop.is_right(seat, [free_again], 7),
            f"{free_again}; {shop.last_sale()}",
        )

        seat = shop.next_seat()
        await other.execute(f"update seats set status = 'held' where id = {seat}")
        held = await exam.run(pool, seat, 7)
        exam.criterion(
            "somebody has it in a basket, it is held: None",
            held.returned and held.value is None,
            str(held),
        )
        unknown = await exam.run(pool, 0, 7)
        exam.criterion(
            "there is no such seat: None",
            unknown.returned and unknown.value is None,
            str(unknown),
        )
        await _breaks(exam, shop, pool, other)
        pool.terminate()
    if is_behind or next_to_it.hung:
        exam.trap("lock table")
    elif max(shop.sold) <= 1 and twice:
        exam.trap("this process")
    elif max(shop.sold) > 1:
        exam.trap("looks first")
    elif conflicts:
        exam.trap("level alone")
    elif max(shop.sold) == 1 and free_again.returned and free_again.value is None:
        exam.trap("too early")


async def _breaks(exam: Examination, shop: Shop, pool: Any, other: Any) -> None:
    """The sale waits before its payment is stored; then its connection is ended."""
    seat = shop.next_seat()
    await other.execute("begin; lock table payments in exclusive mode")
    selling = exam.start(pool, seat, 7, limit=8)
    await waits_for_a_lock(shop.stack, selling)
    seen = await shop.seen_by_others(seat)
    await end_who_waits(shop.admin)
    await other.execute("rollback")
    broken = await selling
    left = await shop.look.fetchrow(BOOKS, seat)
    exam.criterion(
        "its payment is not stored yet: nobody else sees the sale",
        seen == ("free", 0),
        f"others see: {seen[0]}, {seen[1]} orders" if seen else "others cannot even look at it",
    )
    exam.criterion(
        "and its connection breaks there: the error arrives, nothing is left",
        broken.error is not None and (left["status"], left["orders"]) == ("free", 0),
        f"{broken}; the seat is {left['status']}, {left['orders']} orders",
    )


async def _rush(exam: Examination, shop: Shop) -> bool:
    """50 buyers for one seat, at each level. Whether some of them got a SerializationError.

    False as well if the first rush did not come to its end.
    """
    errors: list[BaseException] = []
    ended: dict[str, int] = {}  # rushes, by level
    for level, times in LEVELS.items():
        pool = await asyncpg.create_pool(
            shop.stack.postgres.dsn(),
            min_size=10,
            max_size=10,
            server_settings={"default_transaction_isolation": level},
        )
        right = ended[level] = 0
        for _ in range(times):
            seat = shop.next_seat()
            outcomes = await asyncio.gather(
                *(exam.run(pool, seat, 1 + number, limit=10) for number in range(BUYERS))
            )
            right += await shop.is_right(seat, outcomes, 1)
            errors += [one.error for one in outcomes if one.error]
            if any(one.hung for one in outcomes) or right < ended[level]:
                break
            ended[level] += 1
        exam.criterion(
            f"{BUYERS} buyers, one seat, {level} by default: sold and paid once, the others get "
            "None",
            right == times,
            f"{right} of {times} times"
            if right == times
            else f"not so: {_sales(max(shop.sold[-times:]))}, {len(errors)} errors so far; "
            f"at last: {shop.last_sale()}",
        )
        pool.terminate()
    refused = any(isinstance(one, asyncpg.SerializationError) for one in errors)
    return ended["read committed"] > 0 and refused


def _sales(times: int) -> str:
    return f"a seat was sold {times} times" if times != 1 else "sold once"
