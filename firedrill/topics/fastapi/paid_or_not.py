"""What becomes of a seat when something fails after the charge, or nobody knows of the charge."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ...checking.examination import Examination
from ...checking.waiting import until
from .provider import A_WHILE, LEAVING, REFUSED, SILENT, SLOW, Provider
from .serving import FIRST_SEAT, LIMIT, Answer, Client

SEATS = 40  # that are sold in the rush
THINKS = 5.0  # seconds that the provider has
UNLUCKY, UNSOLD = 196, 490  # a customer whose order, and a seat whose sale cannot be stored
FAILS_AFTER_THE_CHARGE = f"""
    create function fails() returns trigger language plpgsql as $$
    begin
        raise exception 'no room' using errcode = 'disk_full';
    end $$;
    create trigger fails before insert on orders
        for each row when (new.customer_id = {UNLUCKY}) execute function fails();
    create trigger fails before update on seats
        for each row when (new.id = {UNSOLD} and new.status = 'sold') execute function fails()"""
OF = "select count(*) from orders where customer_id = $1 and id > $2"
STATUS = "select status::text from seats where id = $1"


async def buy(ask: Client, customer: int, limit: float = LIMIT, seat: int = 0) -> Answer:
    return await ask("POST", "/buy", limit=limit, customer=customer, seat=seat or seat_of(customer))


def seat_of(customer: int) -> int:
    """The seat that one of the special customers wants."""
    return FIRST_SEAT + SEATS + customer - REFUSED


async def after_the_charge(
    exam: Examination, look: Any, provider: Provider, ask: Client, last: int
) -> bool:
    """Whether half of a sale is stored."""

    async def stored(customer: int, seat: int) -> tuple[int, str]:
        return await look.fetchval(OF, customer, last), await look.fetchval(STATUS, seat)

    halves = []
    for customer, seat, what in (
        (UNLUCKY, seat_of(UNLUCKY), "its order"),
        (UNLUCKY + 1, UNSOLD, "the sale of its seat"),
    ):
        answer = await buy(ask, customer, seat=seat)
        rows, status = await stored(customer, seat)
        halves.append(answer != 200 and (rows > 0 or status == "sold"))
        exam.criterion(
            f"charged, and PostgreSQL refuses {what}: 5xx, no order, the seat stays held",
            isinstance(answer, int) and answer >= 500 and (rows, status) == (0, "held"),
            f"{answer}, {rows} stored, the seat is {status}",
        )
    leaving = asyncio.create_task(buy(ask, LEAVING))
    await until(lambda: provider.asked[LEAVING] > 0, "one more is with the provider", 2)
    leaving.cancel()
    await asyncio.wait({leaving})
    await asyncio.sleep(0.3)  # the service may learn that its client has gone
    provider.later.set()

    async def is_sold() -> bool:
        return await stored(LEAVING, seat_of(LEAVING)) == (1, "sold")

    met = await until(is_sold, "the sale is stored", 2)
    rows, status = await stored(LEAVING, seat_of(LEAVING))
    exam.criterion(
        "charged, and the client has gone meanwhile: the seat is sold, and the order stored",
        met,
        f"{rows} stored, the seat is {status}",
    )
    return any(halves)


async def buy_in_silence(ask: Client) -> tuple[Answer, float]:
    """The answer to a customer of whom the provider says nothing, and after how many seconds."""
    begun = time.monotonic()
    answer = await buy(ask, SILENT, limit=5 * LIMIT)
    return answer, time.monotonic() - begun


async def silence(exam: Examination, look: Any, silent: asyncio.Task[tuple[Answer, float]]) -> bool:
    """Whether nobody else can buy the seat of a customer who may have been charged."""
    answer, took = await silent
    status = await look.fetchval(STATUS, seat_of(SILENT))
    early = took <= THINKS - 0.5
    exam.criterion(
        f"the provider does not answer: 504 after {THINKS:g} s, and the seat stays held",
        answer == 504 and status == "held" and not early,
        f"{answer}{f' after {took:.1f} s' if early else ''}, the seat is {status}",
    )
    return isinstance(answer, str) or bool(status == "held")


async def patience(exam: Examination, look: Any, slow: asyncio.Task[Answer], last: int) -> None:
    """What a customer is told whom the provider answers later, and in time."""
    answer = await slow
    rows, status = await look.fetchval(OF, SLOW, last), await look.fetchval(STATUS, seat_of(SLOW))
    exam.criterion(
        f"the provider answers 200 after {A_WHILE:g} s: 200, the seat is sold, one order",
        (answer, status, rows) == (200, "sold", 1),
        f"{answer}, the seat is {status}, {rows} stored",
        timed=answer == 504,
    )
