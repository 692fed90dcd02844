"""The partner that receives an export: it compares what it gets with what was in the table."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Awaitable, Callable
from typing import Any


class Receiver:
    """Counts what it gets, and compares it.

    Keeps a few bytes for each order, so that its own memory does not count.
    """

    def __init__(self, orders: list[Any], resting: Callable[[], Awaitable[None]]) -> None:
        last = max(row["id"] for row in orders)
        self.times, self.resting = bytearray(last + 100), resting
        self.cents, self.baskets = array("q", [0]) * (last + 1), array("L", [0]) * (last + 1)
        for row in orders:
            self.cents[row["id"]], self.baskets[row["id"]] = (
                row["total_cents"],
                _sum_of(row["basket"]),
            )
        self.moving = min(row["id"] for row in orders), last
        self.batches, self.total, self.wrong, self.longest, self.last_id = 0, 0, "", 0, 0

    async def __call__(self, batch: Any) -> None:
        self.batches += 1
        if not isinstance(batch, list | tuple) or not batch:
            self.wrong = self.wrong or f"{type(batch).__name__} came, empty or no list"
            return
        self.longest = max(self.longest, len(batch))
        for row in batch:
            try:
                number, cents, basket = row
                if not (
                    isinstance(number, int)
                    and isinstance(cents, int)
                    and isinstance(basket, str)
                    and basket[:1] == "{"
                ):
                    raise ValueError
            except (TypeError, ValueError):
                self.wrong = self.wrong or f"{str(row)[:60]} came for an order"
                return
            if number < self.last_id:
                self.wrong = self.wrong or f"order {number} came after {self.last_id}"
            self.last_id = number
            if 0 <= number < len(self.cents) and self.baskets[number]:
                if self.baskets[number] != _sum_of(basket):
                    self.wrong = self.wrong or f"order {number} came with the basket {basket[:20]}"
                if number not in self.moving and self.cents[number] != cents:
                    self.wrong = self.wrong or f"order {number} came with {cents} cents"
            if 0 <= number < len(self.times):
                self.times[number] = min(self.times[number] + 1, 9)
            self.total += cents
        if self.batches == 2:
            await self.resting()


def _sum_of(text: str) -> int:
    return zlib.crc32(text.encode())
