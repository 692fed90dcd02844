"""200 means stored: it is sent after COMMIT, and a request takes one connection."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from .serving import (
    CONTESTED,
    FIRST_SEAT,
    LIMIT,
    POOL_SIZE,
    SESSIONS,
    UNKNOWN,
    Answer,
    Client,
    counted,
    is_deaf,
    served,
)

TITLE = "200 means stored"

HINTS = (
    "When does COMMIT run, and when is the answer sent? How many connections does one request "
    "hold?",
    "What follows the yield of a dependency runs after the answer, unless its scope says "
    "otherwise. Two functions that acquire are two connections. A transaction is rolled back by "
    "an exception, not by a status code.",
    'One get_transaction, Depends(get_transaction, scope="function") in the customer\'s function '
    'and in the order\'s, Depends(get_customer, scope="function"), and raise HTTPException(409).',
)

TRAPS = {
    "before COMMIT": "200 was sent while COMMIT was still waiting. When it fails, the client has "
    "an order that does not exist.",
    "half": "The seat was sold, and its order not stored: two transactions for what belongs "
    "together. When the second one fails, or the process ends between them, half of it is left.",
    "sold twice": "Two customers looked, both found the seat free, and both bought it: what one "
    "has seen may have changed when it writes.",
    "commits a refusal": "409 was answered, and the order is stored: a returned answer is a "
    "success for the transaction.",
    "two connections": "Each request held a connection and waited for a second one. As many "
    "customers as connections, and nobody is served any more.",
    "larger pool": "More connections than POOL_SIZE says. With all processes, PostgreSQL runs out "
    "of them.",
}

UNLUCKY = 13  # the customer whose COMMIT fails
HELD, LOCKED = 470, 471  # seats
CHECKED_AT_COMMIT = f"""
    create function at_commit() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(15);
        if new.customer_id = {UNLUCKY} then
            raise exception 'limit of this customer' using errcode = 'check_violation';
        end if;
        return null;
    end $$;
    create constraint trigger at_commit after insert on orders
        deferrable initially deferred for each row execute function at_commit()"""
ORDERS = "select count(*) from orders"
OF = f"{ORDERS} where id > $1 and customer_id = any($2::bigint[])"
AT_ITS_PRICE = f"{OF} and total_cents = (select price_cents from seats where id = $3)"
STATUS = "select status::text from seats where id = $1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, holder = await admin(stack), await admin(stack)
        await look.execute(CHECKED_AT_COMMIT)
        async with served(exam, stack) as ask:
            if not ask:
                return
            await _Orders(exam, ask, look, holder).check()


class _Orders:
    """The service, who looks from outside, and who holds what the service needs."""

    def __init__(self, exam: Examination, ask: Client, look: Any, holder: Any) -> None:
        self.exam, self.ask, self.look, self.holder = exam, ask, look, holder

    async def order(self, customer: int, seat: int, limit: float = LIMIT) -> Answer:
        return await self.ask("POST", "/orders", limit=limit, customer=customer, seat=seat)

    async def waiting(self, count: int, event: str) -> bool:
        query = f"{SESSIONS} wait_event_type = 'Lock' and wait_event like '{event}'"
        return bool(await self.look.fetchval(query) >= count)

    async def stored(self, seat: int, *customers: int) -> tuple[int, str]:
        """How many orders these customers have, and the status of the seat."""
        rows = await self.look.fetchval(OF, self.last, customers)
        return rows, await self.look.fetchval(STATUS, seat)

    async def check(self) -> None:
        exam = self.exam
        self.last = await self.look.fetchval("select max(id) from orders")
        await self.look.execute(f"update seats set status = 'held' where id = {HELD}")
        unknown = await self.order(UNKNOWN, FIRST_SEAT)
        if is_deaf(exam, unknown):
            return
        exam.criterion("an unknown customer is 404", unknown == 404, f"{unknown}")
        answer, early, meanwhile = await self._one()
        half = await self._commit_fails() or meanwhile != "free"

        before = await self.look.fetchval(ORDERS)
        refused = await self.order(2, FIRST_SEAT)
        await until(self._idle, "its sessions are idle", 2)
        extra = await self.look.fetchval(ORDERS) - before
        held, missing = await self.order(2, HELD), await self.order(2, 999999)
        exam.criterion(
            "a seat that is sold, held, or does not exist: 409, and nothing is stored",
            refused == held == missing == 409 and extra <= 0,
            f"{refused}, {held}, {missing}, {max(extra, 0)} stored",
        )
        await self._another_seat()
        answers, most = await self._crowd()
        stuck = sum(answer != 200 for answer in answers)
        sold, rows = ([], 0) if stuck else await self._contest()
        exam.criterion(
            f"8 customers order at once, the pool has {POOL_SIZE}: all get 200",
            not stuck,
            counted(answers),
        )
        exam.criterion(f"it has {POOL_SIZE} connections at most", most <= POOL_SIZE, f"{most} open")
        # 409 for both is right as well: from a service that waits for no locked row.
        if sold:
            exam.criterion(
                "two customers order one seat at the same time: one order at most, 409 for the "
                "other",
                rows == sold.count(200) <= 1 and set(sold) <= {200, 409},
                f"{counted(sold)}, {rows} stored",
            )
        if early:
            exam.trap("before COMMIT")
        elif half:
            exam.trap("half")
        elif sold.count(200) > 1:
            exam.trap("sold twice")
        elif refused == 409 and extra > 0:
            exam.trap("commits a refusal")
        elif stuck == len(answers) and answer == 200:
            exam.trap("two connections")
        elif most > POOL_SIZE:
            exam.trap("larger pool")

    async def _one(self) -> tuple[Answer, bool, str]:
        """The answer, whether it came before COMMIT had returned, and the seat's status then."""
        await self.holder.execute("select pg_advisory_lock(15)")
        first = asyncio.create_task(self.order(1, FIRST_SEAT, limit=3 * LIMIT))
        held = await until(lambda: self.waiting(1, "advisory"), "COMMIT waits", LIMIT)
        await asyncio.wait({first}, timeout=0.3)
        early = first.done() and first.result() == 200
        meanwhile = await self.look.fetchval(STATUS, FIRST_SEAT)
        await self.holder.execute("select pg_advisory_unlock(15)")
        answer, rows = await first, await self.stored(FIRST_SEAT, 1)
        self.exam.criterion(
            "an order: 200, when it is stored and not before",
            held and not early and answer == 200 and rows == (1, "sold"),
            "200 came while COMMIT was waiting"
            if early
            else f"{answer}, {rows[0]} stored, the seat is {rows[1]}",
        )
        self.exam.criterion(
            "before that, the seat is free to everybody else",
            early or meanwhile == "free",
            f"it was {meanwhile}",
        )
        if rows[0]:
            priced = await self.look.fetchval(AT_ITS_PRICE, self.last, [1], FIRST_SEAT)
            self.exam.criterion(
                "the total of the order is the price of the seat",
                priced == rows[0],
                "it is" if priced == rows[0] else "it is another amount",
            )
        return answer, early, meanwhile

    async def _commit_fails(self) -> bool:
        """Whether half of the order is left."""
        failed = await self.order(UNLUCKY, FIRST_SEAT + 1)
        rows = await self.stored(FIRST_SEAT + 1, UNLUCKY)
        self.exam.criterion(
            "COMMIT fails: 500 or another 5xx, nothing is stored, the seat is free",
            not isinstance(failed, str) and failed >= 500 and rows == (0, "free"),
            f"{failed}, {rows[0]} stored, the seat is {rows[1]}",
        )
        return rows[1] != "free" and failed != 200

    async def _crowd(self) -> tuple[list[Answer], int]:
        """The answers to eight at once, and how many connections there were at most."""
        await self.holder.execute("begin; lock customers in access exclusive mode")
        tasks = [
            asyncio.create_task(self.order(number, FIRST_SEAT + 10 + number))
            for number in range(1, 9)
        ]
        await until(lambda: self.waiting(POOL_SIZE, "relation"), "all connections wait", 2)
        end = time.monotonic() + 0.3

        async def one_more_or_none() -> bool:
            return await self.waiting(POOL_SIZE + 1, "relation") or time.monotonic() > end

        await until(one_more_or_none, "one more waits, or none does")
        most = await self.look.fetchval(f"{SESSIONS} true")
        await self.holder.execute("commit")
        answers = [await task for task in tasks]
        return answers, max(most, await self.look.fetchval(f"{SESSIONS} true"))

    async def _another_seat(self) -> None:
        """Somebody waits for a seat whose row is locked; somebody else orders another seat."""
        await self.holder.execute(f"begin; select from seats where id = {LOCKED} for update")
        first = asyncio.create_task(self.order(11, LOCKED, limit=3 * LIMIT))

        async def waits() -> bool:  # or it is told 409, which is right as well
            return first.done() or await self.waiting(1, "%")

        await until(waits, "one waits for the locked row", 2)
        other = await self.order(12, LOCKED + 1)
        await self.holder.execute("commit")
        await first
        self.exam.criterion(
            "one customer waits for a seat: another one gets another seat meanwhile",
            other == 200,
            f"{other}",
        )

    async def _contest(self) -> tuple[list[Answer], int]:
        """The answers to two customers who want the same seat, and how many orders are stored."""
        await self.holder.execute(f"begin; select from seats where id = {CONTESTED} for update")
        tasks = [asyncio.create_task(self.order(number, CONTESTED)) for number in (21, 22)]
        await until(lambda: self.waiting(2, "%"), "both wait", 2)
        await self.holder.execute("commit")
        return [await task for task in tasks], (await self.stored(CONTESTED, 21, 22))[0]

    async def _idle(self) -> bool:
        return not await self.look.fetchval(f"{SESSIONS} state <> 'idle'")
