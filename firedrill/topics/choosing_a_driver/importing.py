"""An import behind PgBouncer: one transaction, one connection that is closed, and no name of a
statement that another program has taken."""

from __future__ import annotations

from typing import Any

import asyncpg
import psycopg

from ... import servers, views
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import SUPERUSER
from ...servers.stack import Stack
from .files.originals import import_with_asyncpg
from .other_programs import goes_on_meanwhile, leaves_nothing

TITLE = "an import, from asyncpg to psycopg, behind PgBouncer"

HINTS = (
    "Three questions for psycopg's documentation: when does it begin a transaction, what does it "
    "do at close(), and when does it prepare?",
    "The original switches statements off in its connect(), has one transaction, and closes in "
    "every case. psycopg prepares a query that has run five times, as _pg3_0, and so does every "
    "other program.",
    "async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn: it "
    "commits at the end, or rolls back, and closes. cursor.rowcount counts.",
)

TRAPS = {
    "not committed": "It counted 100 changes, and there is none: psycopg had begun a transaction, "
    "and nobody committed it.",
    "half": "One price was refused, but those before it have changed.",
    "left open": "A connection is left open after the error, with everything that it had locked.",
    "prepared": "The name _pg3_0 was there already, prepared by another program: psycopg prepares "
    "a query that has run five times (or at once, with prepare_threshold=0).",
    "others": "The import works, but what the other programs had prepared is gone. Their next "
    "query fails.",
}

PRICES = [(f"{row}{number}", 4000 + 10 * number) for row in "ABCDEFGHIJ" for number in range(1, 11)]
PRICES[-1] = ("J'10", 4110)
TWICE = [("A1", 5999), *PRICES[1:], ("A1", 6000)]
TEN_OTHERS = [(label, cents + 3 * (label[0] == "B")) for label, cents in PRICES]
HIGHER = [(label, cents + 1) for label, cents in PRICES]
BAD = [(label, cents + 2 if label != "E5" else 0) for label, cents in PRICES]
NOW = "select label, price_cents from seats where event_id = $1"
THEIRS = "select email from customers where id = %s"
BACKENDS = 2


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute("set max_prepared_statements = 0")
        await console.execute(f"set default_pool_size = {BACKENDS}")
        dsn = stack.pgbouncer.dsn("transaction")

        async def prices(event: int) -> dict[str, int]:
            return dict(await look.fetch(NOW, event))

        await look.execute(
            "update seats set label = $1 where event_id in (4, 5) and label = 'J10'", PRICES[-1][0]
        )
        expected = await import_with_asyncpg(dsn, 4, PRICES)
        outcome = await exam.run(dsn, 5, PRICES, limit=8)
        stored = await prices(5) == await prices(4)
        exam.criterion(
            "100 prices: all are stored", stored, "stored" if stored else f"not stored: {outcome}"
        )
        exam.criterion(
            "and as many as by the original have changed",
            outcome.value == expected,
            str(outcome.value) if isinstance(outcome.value, int) else str(outcome),
        )
        if outcome.returned and not stored:
            exam.trap("not committed")
        if not outcome.returned or not stored:
            return
        await leaves_nothing(exam, dsn, BACKENDS)
        outcome = await exam.run(dsn, 5, TEN_OTHERS, limit=8)
        exam.criterion(
            "100 prices of which ten are new: ten seats have another price",
            outcome.value == 10,
            str(outcome),
        )

        outcome = await exam.run(dsn, 5, TWICE, limit=8)
        stored = await prices(5) == dict(TWICE)
        exam.criterion(
            "a seat is in the list twice: its last price is stored",
            stored,
            "stored" if stored else str(outcome) if outcome.error else "not stored",
        )

        before = await prices(5)
        outcome = await exam.run(dsn, 5, BAD, limit=8)
        same = await prices(5) == before
        exam.criterion(
            "one price is refused: that error arrives",
            isinstance(outcome.error, psycopg.errors.CheckViolation),
            str(outcome),
        )
        exam.criterion("and no price has changed", same, "none" if same else "some have")
        if not same:
            exam.trap("half")
        left = await _clients(stack)
        exam.criterion("and no connection is left", not left, f"{left} left")
        if left:  # it may have locks, and a backend
            exam.trap("left open")
            return
        if _is_about_names(outcome.error):  # its own, of the import before
            exam.trap("prepared")

        await console.execute("reconnect transaction")
        shops = [
            await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0)
            for _ in range(BACKENDS)
        ]
        for shop in shops:  # each on its own backend
            await shop.execute("begin", prepare=False)
            await shop.execute(THEIRS, (1,))
        for shop in shops:  # not by ROLLBACK: psycopg forgets what it has prepared then
            await shop.execute("commit", prepare=False)
        outcome = await exam.run(dsn, 5, HIGHER, limit=8)
        stored = await prices(5) == dict(HIGHER)
        exam.criterion(
            "other programs, with psycopg, have prepared statements there: 100 prices are stored",
            stored and outcome.returned,
            "stored" if stored else str(outcome),
        )
        if not stored and _is_about_names(outcome.error):
            exam.trap("prepared")
        theirs = await _still(shops, look)
        exam.criterion(
            "and theirs are still there", theirs, "they are" if theirs else "they are not"
        )
        if not theirs and stored:
            exam.trap("others")
        for shop in shops:
            await shop.close()
        if stored:
            await goes_on_meanwhile(exam, stack, dsn, PRICES)


def _is_about_names(error: BaseException | None) -> bool:
    return isinstance(
        error, psycopg.errors.DuplicatePreparedStatement | psycopg.errors.InvalidSqlStatementName
    )


async def _clients(stack: Stack) -> int:
    """Of PgBouncer's database for transaction mode; it takes a moment to notice one's leaving."""
    count = 0

    async def none() -> bool:
        nonlocal count
        clients = await views.show(stack.pgbouncer, "clients")
        count = sum(row["database"] == "transaction" for row in clients)
        return not count

    await until(none, "PgBouncer has no client", 2)
    return count


async def _still(shops: list[Any], look: Any) -> bool:
    expected = await look.fetchval("select email from customers where id = 2")
    good = 0
    for shop in shops:
        try:
            await shop.execute("begin", prepare=False)
            good += await (await shop.execute(THEIRS, (2,))).fetchone() == (expected,)
        except psycopg.Error:
            pass
    return good == len(shops)
