"""A file with bad sales: the good ones are stored, and an interruption leaves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination, Running
from ...checking.outcome import Outcome
from .books import LOCKED, NEW_DAY, books
from .interrupting import Interrupt, cancel, interrupted

TITLE = "a file with bad sales"

HINTS = (
    "Print what came back: how many of the reasons are about the sale next to them?",
    "A sale has to be undone alone, all three statements of it: that needs a savepoint before it, "
    "and an exception that leaves its block. And which errors are a sale's own fault?",
    "One transaction() around the loop, one around sell() in it, the try around the inner one; "
    "except only SeatTaken, asyncpg.DataError and asyncpg.IntegrityConstraintViolationError.",
)

TRAPS = {
    "aborted": "An error was caught in a transaction that it had aborted. Everything after it was "
    "refused for that reason only, or lost at the end.",
    "half": "A sale is there in part: a seat or an order stayed without the rest.",
    "one by one": "The file was interrupted, and the sales before that stay. If the partner "
    "sends it again, its seats are taken.",
    "swallowed": "The import was interrupted, and took that for a bad sale: the function went on "
    "to its end.",
}

GOOD = [(f"A{n}", 10 + n, ("card", "transfer", "voucher")[n % 3]) for n in range(1, 9)]

MIXED: list[tuple[str, Any, str]] = [
    *GOOD[:2],
    ("B1", 9999, "card"),
    ("A1", 31, "card"),
    *GOOD[2:4],
    ("B2", 32, "cash"),
    ("J10", 33, "card"),
    ("B3", "thirty", "card"),
    *GOOD[4:],
    ("Z9", 34, "card"),
]

REASONS = {
    2: "orders_customer_id_fkey",
    3: "",
    6: "payments_method_check",
    7: "",
    8: "thirty",
    13: "",
}

INTERRUPTED = [*GOOD[:3], ("B5", 35, "card"), *GOOD[3:]]


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, rival = await admin(stack), await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        await look.execute(NEW_DAY)
        outcome = await exam.run(conn, GOOD, limit=3)
        sales, agree, said = await books(look)
        exam.criterion(
            "a file without a bad sale is stored",
            agree and sales == len(GOOD) and _refused(outcome) == {},
            said if outcome.returned else f"{outcome}; {said}",
        )

        await look.execute(NEW_DAY)
        outcome = await exam.run(conn, MIXED, limit=3)
        sales, agree, said = await books(look)
        refused, wanted = _refused(outcome), len(MIXED) - len(REASONS)
        exam.criterion(
            f"{len(REASONS)} of {len(MIXED)} sales are bad: the others are stored",
            sales == wanted,
            f"{sales} of {wanted}" if outcome.returned else f"{outcome}; {sales} of {wanted}",
        )
        exam.criterion("each seat sold has its order and its payment", agree, said)
        exam.criterion(
            "the bad ones come back by their numbers",
            set(refused or ()) == set(REASONS),
            str(outcome) if refused is None else f"{sorted(refused)} came back",
        )
        known = sum(
            bool(text) and part in text
            for number, part in REASONS.items()
            for text in [(refused or {}).get(number, "")]
        )
        exam.criterion(
            "each with its own reason", known == len(REASONS), f"{known} of {len(REASONS)}"
        )
        exam.criterion("the connection can be used afterwards", *await usable(conn))
        aborted = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError) or any(
            "transaction is aborted" in text for text in (refused or {}).values()
        )
        if aborted or (outcome.returned and not sales):
            exam.trap("aborted")
            return
        if not agree:
            exam.trap("half")
        if sales != wanted or not agree or not (await usable(conn))[0]:
            return

        for what, error, interrupt, patience in (  # of the session, in milliseconds; 0 is forever
            ("cancelled while it waits for a lock", asyncio.CancelledError, cancel, 0),
            (
                "its query is ended by an administrator",
                asyncpg.QueryCanceledError,
                _end_query(look, conn),
                0,
            ),
            ("its lock_timeout is over", asyncpg.LockNotAvailableError, _nothing, 200),
        ):
            await look.execute(NEW_DAY)
            await conn.execute(f"set lock_timeout = {patience}")
            await rival.execute("begin")
            await rival.execute(LOCKED)
            outcome = await interrupted(exam, look, interrupt, conn, INTERRUPTED)
            await rival.execute("rollback")
            sales, _, said = await books(look)
            left = isinstance(outcome.error, error)
            exam.criterion(
                f"{what}: that leaves the function, and nothing of the file is stored",
                left and not sales,
                f"{outcome}; {said}",
            )
            if outcome.returned:
                exam.trap("swallowed")
            elif left and sales:
                exam.trap("one by one")
            is_usable, said = await usable(conn)
            exam.criterion("the connection can be used afterwards", is_usable, said)
            if not is_usable:
                return


def _refused(outcome: Outcome) -> dict[Any, str] | None:
    """Reason by number, if that is what came back."""
    try:
        return (
            {number: str(reason) for number, reason in outcome.value} if outcome.returned else None
        )
    except (TypeError, ValueError):
        return None


async def _nothing(_: Running) -> None:
    """PostgreSQL interrupts by itself."""


def _end_query(look: Any, conn: Any) -> Interrupt:
    async def end(_: Running) -> None:
        await look.execute("select pg_cancel_backend($1)", conn.get_server_pid())

    return end
