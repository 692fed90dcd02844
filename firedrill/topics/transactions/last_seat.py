"""The last seat: fifty buyers at three levels, and a box office that is another program."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.stack import Stack
from .locks import waits_for_a_lock

TITLE = "the last seat"

HINTS = (
    "How many transactions can have read `free` before the first of them commits?",
    "Reading and deciding has to happen while nobody else can change the seat: the row has to be "
    "locked before, or by, the decision. What waits for a row lock at Read Committed looks at the "
    "row anew; at the higher levels it gets 40001.",
    "`update seats set status = 'sold' where id = $1 and status = 'free' returning price_cents` "
    "decides and locks in one statement. The level that this relies on can stand in the code: "
    'conn.transaction(isolation="read_committed").',
)

TRAPS = {
    "looks first": "A seat was sold more than once: several buyers had read that it is free "
    "before the first of them wrote.",
    "this process": "Another program has sold the seat at the same moment, and yours sold it "
    "again: a lock that it does not take excludes nobody outside.",
    "too early": "A customer was told no while another sale was under way, and that one was given "
    "up: the seat is free.",
    "lock table": "Somebody was buying another seat, and this sale waited for that: the lock is "
    "larger than the seat.",
    "level alone": "Nothing was oversold, and buyers got SerializationError in place of an answer.",
}

BUYERS = 50
LEVELS = {"read committed": 20, "repeatable read": 3, "serializable": 3}  # times
FREE = "select id from seats where status = 'free' order by id"
SALES = "select count(*) from orders where basket ->> 'seat' = $1::text"
BOOKS = """
    select count(distinct o.id) as orders, count(p.id) as payments,
           coalesce(sum(p.amount_cents), 0) as money, min(o.id) as number, s.price_cents, s.status
    from seats s left join orders o on o.basket ->> 'seat' = s.id::text
                 left join payments p on p.order_id = o.id
    where s.id = $1 group by s.id"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        shop = await _Shop.open(stack)
        conflicts = await _rush(exam, shop)
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=4, max_size=4)
        other = await asyncpg.connect(stack.postgres.dsn())

        seat, neighbour = shop.next_seat(), shop.next_seat()
        await other.execute(f"begin; update seats set status = 'held' where id = {neighbour}")
        waiting = exam.start(pool, neighbour, 8, limit=8)
        await waits_for_a_lock(stack, waiting)
        beside = await exam.run(pool, seat, 7, limit=3)
        await other.execute("rollback")
        await waiting
        exam.criterion(
            "a sale of the seat beside it waits for the box office: this one waits for neither",
            await shop.is_right(seat, [beside]),
            str(beside) if not beside.returned else "sold" if beside.value else "None came back",
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
            await shop.is_right(seat, [free_again]),
            str(free_again),
        )

        seat = shop.next_seat()
        await other.execute(f"update seats set status = 'held' where id = {seat}")
        held = await exam.run(pool, seat, 7)
        exam.criterion(
            "somebody has it in a basket, it is held: None",
            held.returned and held.value is None,
            str(held),
        )
        pool.terminate()
    if beside.hung:
        exam.trap("lock table")
    elif max(shop.sold) <= 1 and twice:
        exam.trap("this process")
    elif max(shop.sold) > 1:
        exam.trap("looks first")
    elif conflicts:
        exam.trap("level alone")
    elif max(shop.sold) == 1 and free_again.returned and free_again.value is None:
        exam.trap("too early")


async def _rush(exam: Examination, shop: _Shop) -> bool:
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
            right += await shop.is_right(seat, outcomes)
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
            else f"not so: {_sales(max(shop.sold[-times:]))}, {len(errors)} errors so far",
        )
        pool.terminate()
    refused = any(isinstance(one, asyncpg.SerializationError) for one in errors)
    return ended["read committed"] > 0 and refused


class _Shop:
    """The seats that are free, and what the tables say of one after its sale."""

    def __init__(self, stack: Stack, look: Any, seats: list[int]) -> None:
        self.stack, self.look = stack, look
        self.sold: list[int] = []  # how often each seat was
        self._seats = seats

    @classmethod
    async def open(cls, stack: Stack) -> _Shop:
        look = await asyncpg.connect(stack.postgres.dsn())
        return cls(stack, look, [row["id"] for row in await look.fetch(FREE)])

    def next_seat(self) -> int:
        return self._seats.pop()

    async def is_right(self, seat: int, outcomes: list[Outcome]) -> bool:
        """The seat, its orders and its money belong together, and so does what the buyers were
        told."""
        self.sold.append(await self.look.fetchval(SALES, str(seat)))
        books = await self.look.fetchrow(BOOKS, seat)
        told = [one.value for one in outcomes if one.value is not None]
        return (
            books["orders"] == books["payments"] == 1
            and books["money"] == books["price_cents"]
            and books["status"] == "sold"
            and told == [books["number"]]
            and all(one.returned for one in outcomes)
        )


def _sales(times: int) -> str:
    return f"a seat was sold {times} times" if times != 1 else "sold once"
