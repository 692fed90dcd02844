"""The seats that task 2 sells, and what the tables say of one after its sale."""

from __future__ import annotations

from typing import Any

import asyncpg

from ...checking.connections import admin
from ...checking.outcome import Outcome
from ...servers.stack import Stack

FREE = "select id from seats where status = 'free' order by id"
SALES = "select count(*) from orders where basket ->> 'seat' = $1::text"
BOOKS = """
    select count(distinct o.id) as orders, count(p.id) as payments,
           coalesce(sum(p.amount_cents), 0) as money, min(o.id) as number, s.price_cents, s.status,
           min(o.total_cents) as total, min(o.customer_id) as customer
    from seats s left join orders o on o.basket ->> 'seat' = s.id::text
                 left join payments p on p.order_id = o.id
    where s.id = $1 group by s.id"""


class Shop:
    """The seats that are free, and what the tables say of one after its sale."""

    def __init__(self, stack: Stack, look: Any, admin: Any, seats: list[int]) -> None:
        self.stack, self.look, self.admin = stack, look, admin
        self.sold: list[int] = []  # how often each seat was
        self._seats = seats
        self._books: Any = None

    @classmethod
    async def open(cls, stack: Stack) -> Shop:
        look = await asyncpg.connect(stack.postgres.dsn())
        seats = [row["id"] for row in await look.fetch(FREE)]
        return cls(stack, look, await admin(stack), seats)

    def next_seat(self) -> int:
        return self._seats.pop()

    async def is_right(self, seat: int, outcomes: list[Outcome], customer: int) -> bool:
        """The seat, its orders and its money belong together, and so does what the buyers were
        told. `customer` is the first of them; the others have the numbers after it."""
        self.sold.append(await self.look.fetchval(SALES, str(seat)))
        books = self._books = await self.look.fetchrow(BOOKS, seat)
        told = {
            number: one.value
            for number, one in enumerate(outcomes, customer)
            if one.value is not None
        }
        return (
            books["orders"] == books["payments"] == 1
            and books["money"] == books["total"] == books["price_cents"]
            and books["status"] == "sold"
            and told == {books["customer"]: books["number"]}
            and all(one.returned for one in outcomes)
        )

    async def seen_by_others(self, seat: int) -> tuple[str, int] | None:
        """The seat's status and orders, or None while a lock keeps everybody from reading it."""
        try:
            async with self.look.transaction():
                await self.look.execute("set local lock_timeout = '500ms'")
                books = await self.look.fetchrow(BOOKS, seat)
        except asyncpg.LockNotAvailableError:
            return None
        return books["status"], books["orders"]

    def last_sale(self) -> str:
        """What the tables say of the seat that was judged last."""
        books = self._books
        return (
            f"orders {books['orders']}, total {books['total']}, paid {books['money']}, "
            f"price {books['price_cents']}, {books['status']}"
        )
