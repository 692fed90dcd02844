"""What the helper of task 3 is to do, and what goes wrong in it."""

from __future__ import annotations

from typing import Any

RAISED = {"deadlock detected": "40P01", "outcome unknown": "40003"}
RAISE = "do $$ begin raise exception '{}' using errcode = '{}'; end $$"
PAY = "insert into payments (order_id, amount_cents, method) values ($1, $2, 'voucher')"


class Payment:
    """Pays order 1. Counts how often it was called."""

    def __init__(self, other: Any, amount: int, wrong: str = "", times: int = 1) -> None:
        self.other, self.amount, self.wrong, self.times = other, amount, wrong, times
        self.calls = 0
        self.transactions: set[int] = set()

    async def __call__(self, conn: Any) -> str:
        self.calls += 1
        total = await conn.fetchval("select total_cents from orders where id = 1")
        await conn.execute(PAY, 1, self.amount)
        self.transactions.add(await conn.fetchval("select pg_current_xact_id()::text::int"))
        if self.calls <= self.times:
            await self._goes_wrong(conn, total)
        return f"paid {self.amount}"

    async def _goes_wrong(self, conn: Any, total: int) -> None:
        if self.wrong == "in turn" and self.calls % 2 == 0:
            await conn.execute(RAISE.format("deadlock detected", "40P01"))
        elif self.wrong in ("in a statement", "in turn"):
            await self.other.execute("update orders set total_cents = total_cents + 1 where id = 1")
            await conn.execute("update orders set total_cents = $1 where id = 1", total)
        elif self.wrong == "at COMMIT":
            # Each has read what the other writes, and the other commits first.
            async with self.other.transaction(isolation="serializable"):
                await self.other.fetchval(
                    "select count(*) from payments where amount_cents = $1", self.amount
                )
                await self.other.execute(
                    "update orders set total_cents = total_cents + 1 where id = 1"
                )
        elif self.wrong in RAISED:
            await conn.execute(RAISE.format(self.wrong, RAISED[self.wrong]))
        elif self.wrong == "unique":
            await conn.execute(
                "insert into customers (id, email, name, joined_at) "
                "values (1, 'a@example.com', 'A', now())"
            )
        elif self.wrong == "python":
            raise LookupError("no such tariff")
