"""A payment that loses no cent: amounts as Decimal, str, int and float, and what is no amount."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination

TITLE = "a payment that loses no cent"

HINTS = (
    "Print 19.99 * 100. And what does asyncpg make of 1.9 for an int?",
    "Binary fractions cannot hold 19.99, Decimal can; str() of a float is the number that was "
    "meant. What is still no whole number of cents then has to be refused, before PostgreSQL is "
    "asked.",
    "Decimal(str(amount)), with decimal's errors caught; refuse what is not finite, what differs "
    "from round(…, 2) of it (arithmetic with Decimal rounds to 28 digits, a comparison does not), "
    "and what an int of PostgreSQL, or the table, cannot hold.",
)

TRAPS = {
    "cut": "A cent is missing: a float just below the whole number was cut off, and nothing was "
    "raised.",
    "rounded": "The prices are right. And amounts that nobody can pay, with a part of a cent, "
    "were rounded and stored.",
    "aborted": "Refused, but by PostgreSQL: the caller's transaction is aborted, and whatever it "
    "had done is lost.",
    "digits": "Prices as float are refused: Decimal(amount) takes every digit of the float, and "
    "19.99 has more than two.",
    "every error": "The amount is right, and the order does not exist: the caller hears that the "
    "amount is wrong.",
    "class": "What is no number raises decimal's InvalidOperation, and that is no ValueError: the "
    "caller does not catch it.",
}

# `float` of each of these, times 100, is a little less than a whole number.
UNDER = ("19.99", "0.29", "8.20", "4.35", "64.10", "79.99")

EXACT: tuple[tuple[Any, int], ...] = (
    (Decimal("19.99"), 1999),
    ("19.99", 1999),
    (17, 1700),
    ("17", 1700),
    (Decimal("0.01"), 1),
    ("1234.5", 123450),
    (Decimal("1e1"), 1000),
    (" 5 ", 500),
    ("1_0.00", 1000),
    ("1e1", 1000),
    (Decimal("21474836.47"), 2**31 - 1),
)

INEXACT: tuple[Any, ...] = (
    0.019,
    10.005,
    0.1 + 0.2,
    Decimal("1.9") / 100,
    "17.005",
    Decimal("19.9900000000000000000000000001"),
    "1e-400",
)  # Decimal computes with 28 digits

NO_AMOUNTS: tuple[Any, ...] = (
    "",
    "five",
    "12,50",
    None,
    float("nan"),
    float("inf"),
    "Infinity",
    -5,
    "0",
    30_000_000,
    "21474836.48",
    "sNaN",
    "1e400",
    True,
)


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        conn = await asyncpg.connect(stack.postgres.dsn())
        look = await admin(stack)
        await look.execute("delete from payments")

        async def stored() -> list[int]:
            return [
                row[0]
                for row in await look.fetch(
                    "delete from payments where order_id = 7 and method = 'card' "
                    "returning amount_cents"
                )
            ]

        async def right(what: str, amounts: Sequence[tuple[Any, int]]) -> list[int]:
            off, said = [], ""
            for amount, cents in amounts:
                outcome = await exam.run(conn, 7, amount, limit=3)
                found = await stored()
                if outcome.value != cents or found != [cents]:
                    off.append(sum(found) - cents)
                    said = said or (
                        f"{amount!r}: {outcome}"
                        if not outcome.returned
                        else f"{amount!r}: {found or 'nothing'} stored, {outcome.value!r} came back"
                    )
                if outcome.hung:
                    break
            exam.criterion(what, not off, said or f"{len(amounts)} of {len(amounts)} are right")
            return off

        errors: list[BaseException | None] = []

        async def refused(what: str, amounts: Sequence[Any]) -> bool:
            """Whether something was stored."""
            wrong, kept = "", False
            for amount in amounts:
                outcome = await exam.run(conn, 7, amount, limit=3)
                found = await stored()
                kept |= bool(found)
                errors.append(outcome.error)
                if found or not isinstance(outcome.error, ValueError):
                    wrong = wrong or f"{amount!r}: " + (
                        f"{found} stored" if found else str(outcome)
                    )
                if outcome.hung:
                    break
            exam.criterion(what, not wrong, wrong or "none is stored")
            return kept

        off = await right("amounts as Decimal, str and int", EXACT)
        floats = [(float(price), int(price.replace(".", ""))) for price in UNDER]
        off_floats = await right("prices as float", floats)
        kept = await refused("amounts with a part of a cent: ValueError", INEXACT)
        await refused("what is no amount to pay: ValueError", NO_AMOUNTS)
        unknown = await exam.run(conn, 10**6, Decimal("19.99"), limit=3)
        is_told = isinstance(unknown.error, asyncpg.ForeignKeyViolationError)
        exam.criterion("no such order: ForeignKeyViolationError", is_told, str(unknown))
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if not is_usable:
            return
        aborted = 0
        for amount in (*INEXACT, *NO_AMOUNTS):
            transaction = conn.transaction()
            await transaction.start()
            if (await exam.run(conn, 7, amount, limit=3)).hung:
                break
            try:
                await conn.fetchval("select 1")
            except asyncpg.InFailedSQLTransactionError:
                aborted += 1
            await transaction.rollback()
        exam.criterion(
            "refused in the middle of the caller's transaction: that goes on",
            not aborted,
            "it goes on"
            if not aborted
            else f"{aborted} of {len(INEXACT + NO_AMOUNTS)} amounts aborted it",
        )
    if off_floats and all(cents == -1 for cents in off_floats):
        exam.trap("cut")
    elif not off and off_floats == [-cents for _, cents in floats]:  # nothing was stored
        exam.trap("digits")
    elif not off and not off_floats and kept:
        exam.trap("rounded")
    elif not off and any(isinstance(error, InvalidOperation) for error in errors):
        exam.trap("class")
    if aborted and not off_floats and not kept:
        exam.trap("aborted")
    elif not off and not exam.fallen and isinstance(unknown.error, ValueError):
        exam.trap("every error")
