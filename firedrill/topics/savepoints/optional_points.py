"""An order, with or without points: what is optional may fail, and the order stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .books import LOCKED, NEW_DAY, books
from .interrupting import cancel, interrupted

TITLE = "an order, with or without points"

HINTS = (
    "What do the points leave behind if they fail in PostgreSQL, and what if they fail in Python?",
    "Only what is optional may be undone alone. The payment's error, and a cancellation, have to "
    "undo everything.",
    "async with conn.transaction() around add_points() alone, in a try with `except Exception`; "
    "all of it in one transaction() with the order and the payment.",
)

TRAPS = {
    "lost": "The points failed in PostgreSQL, and the order went with them.",
    "half points": "The points failed half-way, and what they had written stays with the order.",
    "half an order": "The payment was refused, and the seat or the order stays.",
    "afterwards": "The order was committed before the points were there: the request was "
    "cancelled, and the customer has an order all the same.",
    "swallowed": "The request was cancelled, and that was taken for a failure of the points.",
}


class ServiceAway(Exception):
    """An error that no answer can know by its name."""


POINTS = """
    create table points (
        customer_id int not null, order_id int not null references orders,
        points int check (points > 0));
    grant all on points to encore"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, rival = await admin(stack), await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        await look.execute(POINTS)

        async def left(
            what: str,
            outcome: Outcome,
            orders: int,
            points: int,
            returned: bool | type[BaseException],
        ) -> bool:
            """Whether the order is as it has to be.

            `returned`: whether it has points, or which error arrives.
            """
            sales, agree, said = await books(look)
            found = await look.fetchval("select count(*) from points")
            right = agree and (sales, found) == (orders, points)
            answer = (
                (_answer(outcome) is returned)
                if isinstance(returned, bool)
                else isinstance(outcome.error, returned)
            )
            exam.criterion(what, right and answer, f"{outcome}; {said}, points: {found}")
            return right and answer

        async def again() -> None:
            await look.execute(f"delete from points; {NEW_DAY}")

        await again()
        outcome = await exam.run(conn, 11, "A1", "card", _points)
        if not await left("all is well: an order with points", outcome, 1, 1, True):
            return
        failed: dict[Any, bool] = {}
        for what, add_points in (
            ("PostgreSQL refuses the points", _refused_points),
            ("the points fail in Python, half-way", _no_points_today),
            ("the points give up after 0.1 s", _slow_points),
        ):
            await again()
            outcome = await exam.run(conn, 12, "A2", "card", add_points)
            failed[add_points] = not await left(
                f"{what}: an order without points", outcome, 1, 0, False
            )
            lost = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError) or (
                outcome.returned and not (await books(look))[0]
            )
            if lost:
                exam.trap("lost")
            elif "lost" not in exam.fallen and await look.fetchval("select count(*) from points"):
                exam.trap("half points")
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if any(failed.values()) or not is_usable:
            return
        await again()
        outcome = await exam.run(conn, 13, "A3", "cash", _points)
        sales, agree, _ = await books(look)
        await left(
            "the payment is refused: that arrives, and nothing stays",
            outcome,
            0,
            0,
            asyncpg.CheckViolationError,
        )
        if not agree:
            exam.trap("half an order")
        await again()
        outcome = await exam.run(conn, 15, "J10", "card", _points)
        await left(
            "the seat is held for somebody else: an error arrives, and nothing stays",
            outcome,
            0,
            0,
            Exception,
        )
        await rival.execute("begin")
        await rival.execute(LOCKED)
        outcome = await interrupted(exam, look, cancel, conn, 14, "A4", "card", _waiting_points)
        await rival.execute("rollback")
        sales = (await books(look))[0]
        await left(
            "the request is cancelled while the points wait for a lock: nothing stays",
            outcome,
            0,
            0,
            asyncio.CancelledError,
        )
        if outcome.returned:
            exam.trap("swallowed")
        elif sales:
            exam.trap("afterwards")
        exam.criterion("the connection can be used afterwards", *await usable(conn))


def _answer(outcome: Outcome) -> Any:
    """Of `(order, has points)` the second."""
    value = outcome.value
    return (
        value[1] if outcome.returned and isinstance(value, Sequence) and len(value) == 2 else None
    )


async def _points(conn: Any, customer: int, order: int, points: int = 10) -> None:
    await conn.execute("insert into points values ($1, $2, $3)", customer, order, points)


async def _refused_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    await _points(conn, customer, order, 0)


async def _no_points_today(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    raise ServiceAway("the points' service does not answer")


async def _slow_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    async with asyncio.timeout(0.1):
        await conn.execute("select pg_sleep(60)")


async def _waiting_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    await conn.execute(LOCKED)
