"""A payment: who holds a connection while somebody else works, and what is left afterwards."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import MissingGreenlet, NoResultFound

from ...checking.examination import Examination, Running
from ...checking.waiting import until
from .service import SIZE, Service, gives_back, running

TITLE = "a payment that waits for somebody else"

HINTS = (
    "While charge() runs, look at engine.pool.status() and at pg_stat_activity: who has a "
    "connection, and in which state is it?",
    "A session begins a transaction before its first query, and keeps it and the connection until "
    "it ends. After commit(), the values of its objects are gone.",
    "Two sessions: in the first, read the total into a variable, and leave the block. Then await "
    "charge(total). In the second, add the payment, flush, note its id, commit.",
)

TRAPS = {
    "transaction": "While the provider worked, a transaction was open: idle in transaction. It "
    "holds a connection of the pool, and the lock that a migration waits for.",
    "connection": "While the provider worked, no transaction was open, but a connection of the "
    "pool was lent.",
    "expired": "The customer has paid, and then an attribute was read that commit() had expired: "
    "MissingGreenlet.",
    "early": "The provider refused, and a payment is stored: it was written before anybody had "
    "paid.",
}

TOTAL, RECEIPT = 7300, "card"
PAID = "select id, amount_cents, method from payments where order_id = $1"


class Refused(Exception):
    pass


class Provider:
    """What charges: it waits until it is told, and tells what it was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[object] = []
        self.answer = asyncio.Event()
        self.error = error

    async def __call__(self, cents: object) -> str:
        self.asked.append(cents)
        await self.answer.wait()
        if self.error:
            raise self.error
        return RECEIPT


async def check(exam: Examination) -> None:
    async with running() as service:
        orders = [
            row["id"]
            for row in await service.admin.fetch(
                """insert into orders (customer_id, total_cents, basket)
                select n, $1::int, '{}' from generate_series(1, 5) n returning id""",
                TOTAL,
            )
        ]
        if not await _two_at_once(exam, service, orders[:SIZE]):
            return
        await _refused(exam, service, orders[2])
        await _cancelled(exam, service, orders[3])
        provider = Provider()
        provider.answer.set()
        outcome = await exam.run(service.sessions, provider, 999_999)
        exam.criterion(
            "an order that does not exist: NoResultFound, and nobody is charged",
            isinstance(outcome.error, NoResultFound) and not provider.asked,
            f"{outcome}; charged {len(provider.asked)} times",
        )
        await gives_back(exam, service)


async def _two_at_once(exam: Examination, service: Service, orders: list[int]) -> bool:
    provider = Provider()
    payments = [exam.start(service.sessions, provider, order) for order in orders]
    await until(lambda: len(provider.asked) == SIZE, "both are at the provider's", 2)
    in_transaction, lent = await service.in_transaction(), service.lent
    free = not in_transaction and not lent and len(provider.asked) == SIZE
    exam.criterion(
        "two payments are at the provider's: no transaction is open, no connection is lent",
        free,
        f"{len(provider.asked)} at the provider's, {in_transaction} idle in transaction, "
        f"{lent} of {SIZE} connections lent",
    )
    if in_transaction:
        exam.trap("transaction")
    elif lent:
        exam.trap("connection")
    if free:
        async with service.sessions() as session:
            await session.execute(text("select 1"))
    provider.answer.set()
    return await _stored(exam, service, orders, payments, provider) and free


async def _stored(
    exam: Examination,
    service: Service,
    orders: list[int],
    payments: list[Running],
    provider: Provider,
) -> bool:
    outcomes = [await payment for payment in payments]
    rows = [await service.admin.fetch(PAID, order) for order in orders]
    once = all(
        len(found) == 1 and tuple(found[0])[1:] == (TOTAL, RECEIPT) and outcome.value == found[0][0]
        for found, outcome in zip(rows, outcomes, strict=True)
    )
    exam.criterion(
        "each order has one payment, of its total, with the receipt; its id comes back",
        once and provider.asked == [TOTAL] * SIZE,
        f"{[len(found) for found in rows]} payments, charged {provider.asked}; "
        + ("the ids came back" if once else str(outcomes[0])),
    )
    if any(isinstance(outcome.error, MissingGreenlet) for outcome in outcomes):
        exam.trap("expired")
    return once


async def _refused(exam: Examination, service: Service, order: int) -> None:
    provider = Provider(Refused("card declined"))
    provider.answer.set()
    outcome = await exam.run(service.sessions, provider, order)
    rows = len(await service.admin.fetch(PAID, order))
    exam.criterion(
        "the provider refuses: its error arrives, and no payment is stored",
        isinstance(outcome.error, Refused) and not rows,
        f"{outcome}; {rows} payments",
    )
    if rows:
        exam.trap("early")


async def _cancelled(exam: Examination, service: Service, order: int) -> None:
    provider = Provider()
    payment = exam.start(service.sessions, provider, order)
    await until(lambda: provider.asked, "it is at the provider's", 2)
    await payment.end()
    rows = len(await service.admin.fetch(PAID, order))
    exam.criterion(
        "cancelled at the provider's: no payment is stored, no connection is lent",
        not rows and not service.lent,
        f"{rows} payments, {service.lent} lent",
    )
