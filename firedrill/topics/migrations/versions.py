"""Two versions of the application: they know the same column by different names."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .customers import Customers

UNCORRECTED = "the amount before its correction"


class Version:
    """It writes and corrects payments, and reads those of both versions."""

    def __init__(
        self, column: str, written: dict[int, tuple[int, ...]], wrong: Counter[str]
    ) -> None:
        # By the payment's id the amounts that it may have now: two while it is being corrected.
        self.written = written
        self.column, self.wrong = column, wrong
        self.customers = Customers()

    async def request(self, conn: Any, number: int) -> None:
        amount = 1000 + 2 * len(self.written)
        payment = await conn.fetchval(
            f"insert into payments (order_id, {self.column}, method) values ($1, $2, 'card') "
            "returning id",
            1 + number,
            amount,
        )
        self.written[payment] = amount, amount + 1
        await conn.execute(
            f"update payments set {self.column} = $2 where id = $1", payment, amount + 1
        )
        self.written[payment] = (amount + 1,)
        for one in {payment, *[*self.written][-4:]}:
            earlier = self.written[one]
            found = await conn.fetchval(f"select {self.column} from payments where id = $1", one)
            if found not in earlier + self.written[one]:
                self.wrong[self._what(found, one)] += 1

    def _what(self, found: int | None, payment: int) -> str:
        if found is None:
            return "no amount"
        return UNCORRECTED if found == self.written[payment][-1] - 1 else "another amount"
