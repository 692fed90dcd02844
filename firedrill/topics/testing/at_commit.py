"""Stretch: a rollback that finds what COMMIT would have refused."""

from __future__ import annotations

import re

from ... import pytests
from ...checking.connections import admin
from ...checking.examination import Examination
from .bench import bench, changes, of, unexpected

TITLE = "what COMMIT would have said"

HINTS = (
    'Lesson 16, "What a rollback cannot see": when is a deferred constraint checked, and which '
    "statement checks it before? And what does each transaction have that no other has?",
    "set constraints all immediate checks at once what COMMIT would. pg_current_xact_id() is the "
    "number of the transaction, the same in its savepoints. In a transaction that has failed, "
    "neither can be asked, and nothing would be committed.",
    'begun = await conn.fetchval("select pg_current_xact_id()") before the yield. After it, in '
    "contextlib.suppress(asyncpg.InFailedSQLTransactionError): compare it, then set constraints "
    "all immediate. In finally: rollback, and close in a finally of that.",
)

TRAPS = {
    "not asked": "A payment for an order that does not exist was stored, and its test is green: "
    "nobody has heard what COMMIT would have said.",
    "another one": "The code under test has committed and begun again: there is a transaction at "
    "the end of the test, and it is another one than the test's.",
    "already failed": "A test that expects an SQL error is an error at its end: after that error, "
    "the transaction takes nothing but a rollback.",
    "left open": "A connection was open when the tests were over: something before its close() "
    "has raised.",
}

DEFERRED = """
    alter table payments alter constraint payments_order_id_fkey
        deferrable initially deferred"""
GREEN = ("sells", "pays_first_and_orders_then", "sql_error", "error_in_a_block")
COMMITS = ("commits", "commits_and_begins")


async def check(exam: Examination) -> None:
    async with bench(exam, "conftest.py", "test_deferred.py") as there:
        owner = await admin(there.stack)
        await owner.execute(DEFERRED)
        await owner.close()
        before = await there.state()
        first = "test_deferred.py"
        alone = await there.run(first, "-k", f"{' or '.join(GREEN)} or fails")
        run = await there.run(first)
        after = await there.state()
    wrong = unexpected(alone, *[f"test_{name}" for name in GREEN])
    exam.criterion(
        "four right tests are green, two of them after an SQL error; one fails as it is meant to",
        not wrong,
        wrong[:160] or alone.total,
    )
    green = _only_passed(run)
    ran = bool(of(run, "PASSED"))
    unpaid = "test_pays_for_no_order" in green
    exam.criterion(
        "a payment for an order that does not exist is not green",
        ran and not unpaid,
        "green" if unpaid else "not green" if ran else "no test has passed",
    )
    missed = [name for name in COMMITS if f"test_{name}" in green]
    exam.criterion(
        "code that commits is not green, also if it begins another transaction",
        ran and not missed,
        f"{' and '.join(missed)}: green"
        if missed
        else "not green"
        if ran
        else "no test has passed",
    )
    closed = "test_each_is_closed" in green
    same = after == before
    exam.criterion(
        "each connection is closed, and afterwards the database is as it was",
        closed and same,
        f"{'closed' if closed else 'not closed'}, {changes(before, after)} changed",
    )
    if ran and wrong and "InFailedSQLTransactionError" in alone.output:
        exam.trap("already failed")
    elif ran and not wrong and unpaid:
        exam.trap("not asked")
    elif ran and not wrong and missed == ["commits_and_begins"]:
        exam.trap("another one")
    elif ran and not wrong and not closed:
        exam.trap("left open")


def _only_passed(run: pytests.Run) -> set[str]:
    """The tests that have passed and are no error at their end."""
    passed, bad = (
        {re.split(r"[\[ ]", line)[0] for line in of(run, *outcomes)}
        for outcomes in (("PASSED",), ("FAILED", "ERROR"))
    )
    return passed - bad
