"""Customers who send requests while a migration runs: how many fail, how long the longest takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ...checking.examination import Examination
from ...checking.waiting import until
from ...expect import public_name
from ...servers.server import Server

OPEN = 1.5  # seconds for which the report's transaction is open once the migration has begun
PATIENCE = OPEN / 2  # seconds that a customer's request may take
STUCK = 10.0  # seconds after which the check no longer waits for customers

Request = Callable[[Any, int], Awaitable[object]]


class Customers:
    """They send requests again and again, each customer on a separate connection."""

    def __init__(self) -> None:
        self.answered = 0
        self.longest = 0.0  # seconds
        self.errors: Counter[str] = Counter()
        self._asked_for = 0
        self._ended = asyncio.Event()
        self._customers: set[asyncio.Task[None]] = set()

    async def start(self, postgres: Server, request: Request, customers: int = 4) -> None:
        connections = [await asyncpg.connect(postgres.dsn()) for _ in range(customers)]
        self._customers = {
            asyncio.create_task(self._customer(request, conn, number))
            for number, conn in enumerate(connections)
        }
        await self.more(customers * 5)

    async def _customer(self, request: Request, conn: Any, number: int) -> None:
        while not self._ended.is_set():
            begun = time.perf_counter()
            try:
                await request(conn, number)
                self.answered += 1
            except Exception as error:
                self.errors[public_name(type(error))] += 1
                if conn.is_closed():
                    return
            finally:  # one that is cancelled has waited, too
                self.longest = max(self.longest, time.perf_counter() - begun)
            await asyncio.sleep(0.02)  # a customer reads, and the migration has the processor

    @property
    def total(self) -> int:
        return self.answered + self.errors.total()

    async def more(self, requests: int) -> None:
        """Wait until there were so many more, or none can come any more."""
        self._asked_for += requests
        enough = self.total + requests
        await until(
            lambda: self.total >= enough or all(one.done() for one in self._customers),
            "the customers have their answers",
            STUCK,
        )

    async def end(self) -> None:
        """After the requests that are under way. Who gets no answer is sent away."""
        self._ended.set()
        if not await until(
            lambda: all(one.done() for one in self._customers), "the last customers go", STUCK
        ):
            for customer in self._customers:
                customer.cancel()
            await asyncio.wait(self._customers, timeout=STUCK)

    def describe(self, exam: Examination, whose: str = "a customer") -> None:
        failed = ", ".join(f"{count} x {name}" for name, count in self.errors.most_common(3))
        exam.criterion(
            f"no request of {whose} failed",
            not self.errors,
            f"of {self.total}: {failed}"
            if failed
            else f"0 of {min(self.total, self._asked_for)} or more",
        )

    def describe_time(self, exam: Examination, *others: Customers) -> None:
        slow = max(self.longest, *(one.longest for one in others), 0) >= PATIENCE
        exam.criterion(
            f"no request took longer than {PATIENCE:g} s",
            not slow,
            "the longest took longer" if slow else "all were answered in time",
            timed=True,
        )
