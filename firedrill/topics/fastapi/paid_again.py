"""Stretch: a payment that a client may send again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from .serving import LIMIT, SESSIONS, Client, served

TITLE = "a payment that may be sent again"

HINTS = (
    "The second request may come while the first is still running, and in another process. What "
    "do both processes see, and what makes the second one wait for the first?",
    "The key is a row with a primary key, in the transaction of the payment: the request that "
    "inserts it second waits for the first to end. If the first was rolled back, the "
    "second has the row.",
    "insert into payment_keys values ($1, $2, $3) on conflict do nothing returning true. If it "
    "returns nothing, select the row: 422 where order or cents differ, else its payment_id. If it "
    "returns true, pay, and update the row with the payment's number. All in one transaction.",
)

TRAPS = {
    "looks first": "Two requests with the same key looked at the same time, found nothing, and "
    "went on: one was paid twice, or told 500.",
    "in memory": "The other process of the service had never heard of the key.",
    "any request": "The key came with another amount, and was answered with the old payment: the "
    "client believes that it has paid the new one.",
    "burnt": "The payment failed, and its key stayed: the client's next attempt is told that it "
    "has paid, or that it may not.",
}

UNKNOWN = 999999
# One order for each of the cases.
FIRST, TWIN, OTHER, LATER, REFUSED, UNCOMMITTED, BESIDE = range(1, 8)
KEYS = f"""
    create table payment_keys (
        key text primary key, order_id int not null, amount_cents int not null, payment_id int);
    grant all on payment_keys to {ROLE};
    create function at_commit() returns trigger language plpgsql as $$
    begin
        if new.order_id = {TWIN} then
            perform pg_advisory_xact_lock_shared(15);
        end if;
        return null;
    end $$;
    create constraint trigger at_commit after insert on payments
        deferrable initially deferred for each row execute function at_commit()"""
FAILS = """
    create or replace function fails() returns trigger language plpgsql as $$
    begin
        raise exception 'the disk is full' using errcode = 'disk_full';
    end $$;
    create constraint trigger fails after insert on payments
        {} for each row execute function fails()"""
AT_COMMIT, AT_ONCE = "deferrable initially deferred", ""
PAID = "select id, amount_cents from payments where id > $1 and order_id = $2 order by id"
Paid = tuple[int | str, Any]  # the status, and the number of the payment


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, holder = await admin(stack), await admin(stack)
        await look.execute(f"set lock_timeout = '5s'; {KEYS}")
        async with served(exam, stack, processes=2) as ask:
            if not ask:
                return
            await _Payments(exam, ask, look, holder).check()


class _Payments:
    def __init__(self, exam: Examination, ask: Client, look: Any, holder: Any) -> None:
        self.exam, self.ask, self.look, self.holder = exam, ask, look, holder

    async def pay(self, process: int, key: str | None, order: int, cents: int = 500) -> Paid:
        begun = time.monotonic()
        headers = {} if key is None else {"Idempotency-Key": key}
        try:
            async with asyncio.timeout(3 * LIMIT):
                reply = await self.ask.http.post(
                    f"{self.ask.urls[process]}/pay",
                    params={"order": order, "cents": cents},
                    headers=headers,
                )
                return reply.status_code, _number(reply)
        except TimeoutError:
            self.exam.in_time(time.monotonic() - begun, 3 * LIMIT)
            return f"no answer within {3 * LIMIT:g} s", None
        except httpx.HTTPError as error:
            return type(error).__name__, None

    async def paid(self, order: int) -> list[Any]:
        return list(await self.look.fetch(PAID, self.last, order))

    async def check(self) -> None:
        self.last = await self.look.fetchval("select max(id) from payments")
        first = await self.pay(0, "k1", FIRST)
        if first[0] != 200:
            self.exam.criterion("a payment is 200", False, f"{first[0]}")
            return
        again = [await self.pay(process, "k1", FIRST) for process in (0, 1)]
        rows = await self.paid(FIRST)
        one = [row["id"] for row in rows] == [first[1]] and rows[0]["amount_cents"] == 500
        self.exam.criterion(
            "a payment, and the same again, in each process: 200 with the same number, one row",
            one and again == [first, first],
            _told([first, *again], len(rows)),
        )
        twins, twice = await self._twins()
        another = await self._other_requests(first)
        burnt = await self._failures()
        if again[0] == first and again[1] != first and len(rows) > 1:
            self.exam.trap("in memory")
        elif twice or (again == [first, first] and 500 in twins):
            self.exam.trap("looks first")
        elif another == first:
            self.exam.trap("any request")
        elif burnt:
            self.exam.trap("burnt")

    async def _twins(self) -> tuple[list[int | str], bool]:
        """What two are told who come at the same time, and whether both have paid."""
        await self.holder.execute("select pg_advisory_lock(15)")
        requests = [asyncio.create_task(self.pay(0, "k2", TWIN))]
        await until(lambda: self._waiting(1), "the first one's COMMIT waits", LIMIT)
        requests.append(asyncio.create_task(self.pay(1, "k2", TWIN)))

        async def has_met_it() -> bool:
            return requests[1].done() or await self._waiting(2)

        await until(has_met_it, "the second one waits, too", 2)
        beside = await self.pay(0, "k6", BESIDE)
        await self.holder.execute("select pg_advisory_unlock(15)")
        answers = [await request for request in requests]
        rows = await self.paid(TWIN)
        numbers = [row["id"] for row in rows]
        self.exam.criterion(
            "the same again, in the other process, while the first is in its COMMIT: the same",
            len(numbers) == 1 and answers == [(200, numbers[0])] * 2,
            _told(answers, len(rows)),
        )
        self.exam.criterion(
            "meanwhile, a payment with another key does not wait: 200",
            beside[0] == 200,
            f"{beside[0]}",
        )
        return [status for status, _ in answers], len(rows) > 1

    async def _other_requests(self, first: Paid) -> Paid:
        """What the known key is answered with another amount."""
        amount = await self.pay(1, "k1", FIRST, 700)
        order = await self.pay(0, "k1", OTHER)
        without = await self.pay(0, None, OTHER)
        rows = len(await self.paid(FIRST)) - 1 + len(await self.paid(OTHER))
        self.exam.criterion(
            "a known key with another amount, or another order: 422; no key: 400; nothing is paid",
            (amount[0], order[0], without[0], rows) == (422, 422, 400, 0),
            f"{amount[0]}, {order[0]}, {without[0]}, {rows} paid",
        )
        return amount

    async def _failures(self) -> bool:
        """Whether a key could not be used any more after its payment had failed."""
        unknown = await self.pay(0, "k3", UNKNOWN)
        next_one = await self.pay(1, "k3", LATER)
        rows = len(await self.paid(LATER))
        self.exam.criterion(
            "an unknown order is 404, and its key is free again: 200",
            (unknown[0], next_one[0], rows) == (404, 200, 1),
            f"{unknown[0]}, then {next_one[0]}, {rows} paid",
        )
        refused = await self._refused("the payment", AT_ONCE, "k4", REFUSED)
        return await self._refused("its COMMIT", AT_COMMIT, "k5", UNCOMMITTED) or refused

    async def _refused(self, what: str, when: str, key: str, order: int) -> bool:
        """Whether a key is of no use after PostgreSQL has refused its payment."""
        await self.look.execute(FAILS.format(when))
        failed, _ = await self.pay(0, key, order)
        before = len(await self.paid(order))
        await self.look.execute("drop trigger fails on payments")
        second, _ = await self.pay(1, key, order)
        rows = len(await self.paid(order))
        is_error = not isinstance(failed, str) and failed >= 500
        self.exam.criterion(
            f"PostgreSQL refuses {what}: 500 or another 5xx, nothing is stored, and the same "
            "again is paid: 200",
            is_error and not before and second == 200 and rows == 1,
            f"{failed}, {before} stored, then {second}, {rows} paid",
        )
        return is_error and not before and not rows

    async def _waiting(self, count: int) -> bool:
        query = f"{SESSIONS} wait_event_type = 'Lock'"
        return bool(await self.look.fetchval(query) >= count)


def _number(reply: httpx.Response) -> Any:
    try:
        body = reply.json()
    except ValueError:
        return None
    return body.get("payment") if isinstance(body, dict) else None


def _told(answers: list[Paid], rows: int) -> str:
    statuses = ", ".join(str(status) for status, _ in answers)
    same = len({str(number) for _, number in answers}) == 1
    return f"{statuses}, {'the same number' if same else 'other numbers'}, {rows} paid"
