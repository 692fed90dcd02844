"""A sale: where its transaction begins and ends, what is tried again, and what has a limit."""

from __future__ import annotations

import asyncpg
import psycopg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from .files.originals import sell_with_psycopg
from .sale import EVENT, FREE, NO_ORDER, ORDER, SHOP, SIZE, SOLD, Sale, came, is_number
from .sharing import cancelled, keeps_its_connection, neighbours, overtaken, waits

TITLE = "a sale, from psycopg to asyncpg"

HINTS = (
    "Read the original line by line: what ends, and when, if this line raises?",
    "The original has three things that no line of the starter has: the transaction around the "
    "sale, the one around first_orders, and a connection that somebody else acquires and "
    "releases.",
    "Around the loop: async with pool.acquire(timeout=1) as conn. Inside its try: async with "
    "conn.transaction(). The limit for locks is SET LOCAL in it; first_orders with "
    "`on conflict do nothing`, or in a nested transaction(); the basket with json.dumps.",
)

TRAPS = {
    "half": "The error arrived, but the seat is sold without an order: each statement committed "
    "by itself.",
    "swallowed": "A number came back, but nothing is stored: PostgreSQL's error was caught inside "
    "the transaction, and its COMMIT was a rollback.",
    "inside": "It was tried again where that cannot help: inside the transaction that the "
    "conflict has ended, or not at COMMIT, which raises conflicts, too.",
    "no limit": "It waited for a held seat without a limit, or with a longer one than the "
    "original's. Is SET LOCAL in the transaction? Outside one it has no effect.",
    "forever": "All connections were taken, and it kept waiting. The original's pool gives up by "
    "itself; asyncpg's does not.",
    "leak": "A connection was not released when the sale failed or was cancelled. After as "
    "many such sales as the pool has connections, nobody can buy.",
    "for everybody": "A codec was set on a connection of the pool, for everyone who gets it "
    "afterwards.",
}

ALL = 60.0  # seconds; a right answer needs a tenth of them


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(SHOP)
        async with await psycopg.AsyncConnection.connect(
            stack.postgres.dsn(), autocommit=True
        ) as other:
            model = await look.fetchrow(ORDER, await sell_with_psycopg(other, 17, EVENT, "J1"))
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=SIZE, max_size=SIZE)
        try:
            outcome = await exam.call(_sell, Sale(exam, look, pool, model), limit=ALL)
        finally:
            pool.terminate()
    if outcome.error:
        raise outcome.error
    if outcome.hung:  # a transaction that was left open holds up the next step
        exam.criterion("the check came to its end", False, str(outcome))


async def _sell(sale: Sale) -> None:
    steps = (
        _plain_sales,
        _errors,
        _conflicts,
        waits,
        overtaken,
        keeps_its_connection,
        cancelled,
        neighbours,
    )
    for step in steps:
        if not await step(sale):
            return
        if leaked := sale.leaked():
            sale.exam.criterion(
                "every connection is given back", False, f"{leaked} of {SIZE} did not come back"
            )
            sale.exam.trap("leak")
            return
    sale.exam.criterion("every connection is given back", True, f"{SIZE} of {SIZE}")


async def _plain_sales(sale: Sale) -> bool:
    outcome, stored = await sale.sell(21, "A1")
    row = await sale.admin.fetchrow(ORDER, outcome.value) if is_number(outcome.value) else None
    expected = (21, sale.model["kind"], sale.model["basket"].replace("J1", "A1"))
    same = row is not None and (row["customer_id"], row["kind"], row["basket"]) == expected
    sale.exam.criterion(
        "a free seat: the order's number comes back, and what the original stores is stored",
        same and stored == SOLD,
        came(outcome, stored)
        if row is None or same
        else f"the basket is a {row['kind']}"
        if row["kind"] != sale.model["kind"]
        else "the order is another one",
    )
    if not outcome.returned:
        return True
    outcome, stored = await sale.sell(22, "A1")
    sale.exam.criterion(
        "the same seat again: None, and nothing is stored",
        outcome.returned and outcome.value is None and stored == SOLD,
        came(outcome, stored),
    )
    outcome, stored = await sale.sell(21, "A2")
    sale.exam.criterion(
        "the customer's second order: it is stored as well",
        is_number(outcome.value) and stored == SOLD,
        came(outcome, stored),
    )
    if outcome.returned and stored == NO_ORDER:
        sale.exam.trap("swallowed")
    return True


async def _errors(sale: Sale) -> bool:
    outcome, stored = await sale.sell(9999, "A3")
    right = isinstance(outcome.error, asyncpg.ForeignKeyViolationError)
    sale.exam.criterion(
        "a customer who does not exist: that error arrives, and the seat is free",
        right and stored == FREE,
        came(outcome, stored),
    )
    if right and stored != FREE:
        sale.exam.trap("half")
    for where, sqlstate, what, error, seat in (
        ("commit", "23514", "COMMIT is refused", asyncpg.CheckViolationError, "A4"),
        (
            "first",
            "23514",
            "the insert into first_orders is refused",
            asyncpg.CheckViolationError,
            "A5",
        ),
        (
            "insert",
            "40003",
            "40003, which is no conflict",
            asyncpg.StatementCompletionUnknownError,
            "A6",
        ),
    ):
        outcome, stored, tried = await sale.refused(where, 1, sqlstate, seat)
        sale.exam.criterion(
            f"{what}: that error arrives at the first attempt, and the seat is free",
            isinstance(outcome.error, error) and stored == FREE and tried == 1,
            came(outcome, stored),
        )
        if outcome.hung:
            return False
    return True


async def _conflicts(sale: Sale) -> bool:
    for where, sqlstate, what, seat in (
        ("insert", "40P01", "a deadlock at the first attempt", "B1"),
        ("first", "40001", "40001 at the first insert into first_orders", "B4"),
        ("commit", "40001", "40001 at the first COMMIT", "B2"),
    ):
        outcome, stored, tried = await sale.refused(where, 1, sqlstate, seat)
        sale.exam.criterion(
            f"{what}: it is tried again, and sold once",
            is_number(outcome.value) and stored == SOLD,
            came(outcome, stored),
        )
        aborted = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError)
        if aborted or (
            where == "commit"
            and isinstance(outcome.error, asyncpg.SerializationError)
            and tried == 1
        ):
            sale.exam.trap("inside")
    outcome, stored, tried = await sale.refused("insert", 100, "40001", "B3")
    sale.exam.criterion(
        "40001 each time: after three attempts, that error arrives",
        isinstance(outcome.error, asyncpg.SerializationError) and tried == 3 and stored == FREE,
        f"{came(outcome, stored)}, {tried} attempts",
    )
    return not outcome.hung
