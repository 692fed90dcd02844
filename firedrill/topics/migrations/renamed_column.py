"""A column gets another name, while the old version of the application and the new one run."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...expect import public_name
from .under_load import LIMIT
from .versions import UNCORRECTED, Version

TITLE = "a column gets another name"

HINTS = (
    "Write down which statements the old version sends, which the new one, and when both do so.",
    "While both run, both columns have to be there, and each write to one has to reach the other. "
    "Expand, deploy, contract.",
    "Add paid_cents with its CHECK; a BEFORE INSERT OR UPDATE trigger that gives both columns the "
    "amount that was written, for an update the one that was changed; fill the old rows; SET NOT "
    "NULL; `await deploy()`; then drop trigger, function, and amount_cents.",
)

TRAPS = {
    "at once": "The old version was still running when its column was gone.",
    "too late": "The new version was started before its column was there.",
    "outlived": "The trigger outlived the old column: it still names it, so each write failed.",
    "refused": "One version's rows were refused: a column that it does not know may not be NULL.",
    "apart": "Both columns are there, and each version sees only what it wrote itself.",
    "copied": "Payments are missing in the new column: they were written between the copying and "
    "what keeps the two alike.",
    "updates": "A payment was corrected under one name and not under the other. Which of the two "
    "did an UPDATE change?",
    "unfilled": "Payments from before the migration have no amount in the new column: nothing has "
    "filled it.",
    "not deployed": "The new version was never started. The migration has to call deploy().",
}

THINGS = """
    select (select count(*) from pg_trigger where not tgisinternal)
        + (select count(*) from pg_proc where pronamespace = 'public'::regnamespace)
        + (select count(*) from pg_constraint
           where conrelid = 'payments'::regclass and contype = 'c')"""
COLUMNS = """
    select column_name, is_nullable from information_schema.columns
    where table_name = 'payments'"""
CHECKED = """
    select count(*) from pg_constraint where conrelid = 'payments'::regclass
        and pg_get_constraintdef(oid) ~ 'paid_cents > 0' and convalidated"""
EMPTY = "select count(*) from payments where paid_cents is null and id <= $1"


@dataclass
class Payments:
    """As they were before the migration."""

    cents: int
    last: int  # the highest id
    things: int


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        payments = Payments(
            *await look.fetchrow(f"select sum(amount_cents), max(id), ({THINGS}) from payments")
        )
        written: dict[int, tuple[int, ...]] = {}
        wrong: Counter[str] = Counter()
        old, new = Version("amount_cents", written, wrong), Version("paid_cents", written, wrong)
        deployed: list[str] = []
        columns: list[str] = []

        async def deploy() -> None:
            if deployed:
                raise RuntimeError("deploy() was called twice")
            deployed.append("begun")
            columns.extend(row["column_name"] for row in await look.fetch(COLUMNS))
            await new.customers.start(stack.postgres, new.request)
            await asyncio.gather(old.customers.more(40), new.customers.more(40))
            await old.customers.end()
            await new.customers.more(20)
            deployed.append("done")

        await old.customers.start(stack.postgres, old.request)
        conn = await asyncpg.connect(stack.postgres.dsn())
        outcome = await exam.run(conn, deploy, limit=LIMIT)
        await (new if deployed else old).customers.more(20)
        await old.customers.end()
        if deployed:
            await new.customers.end()

        _deployment(exam, outcome, deployed)
        old.customers.describe(exam, "the old version")
        new.customers.describe(exam, "the new version")
        seen = ", ".join(f"{count} x {what}" for what, count in wrong.items())
        exam.criterion(
            "whatever one version writes, both read", not wrong, seen or "the same amounts"
        )
        old.customers.describe_time(exam, new.customers)
        lost = await _table(exam, look, payments, old)
        if deployed and "paid_cents" not in columns:
            exam.trap("too late")
        elif not exam.fallen:
            _traps(exam, old, new, outcome, lost)
        if outcome.returned and not deployed and not old.customers.errors:
            exam.trap("not deployed")


def _deployment(exam: Examination, outcome: Outcome, deployed: list[str]) -> None:
    exam.criterion(
        "the migration came to its end",
        outcome.returned,
        "without an error" if outcome.returned else str(outcome),
    )
    exam.criterion(
        "the new version was deployed",
        len(deployed) == 2,
        (
            "deploy() was not called",
            "deploy() did not come to its end",
            "deploy() was awaited",
        )[len(deployed)],
    )


async def _table(exam: Examination, look: Any, payments: Payments, version: Version) -> str:
    """What the table is in the end. Gives the trap that its rows have fallen into, or ""."""
    columns = {row["column_name"]: row["is_nullable"] for row in await look.fetch(COLUMNS)}
    there = "paid_cents" in columns and "amount_cents" not in columns
    exam.criterion(
        "payments has paid_cents, and amount_cents no more", there, ", ".join(sorted(columns))
    )
    if not there:
        return ""
    expected = payments.cents + sum(amounts[-1] for amounts in version.written.values())
    total = await look.fetchval("select sum(paid_cents) from payments")
    exam.criterion(
        "not a cent is lost",
        total == expected,
        "all there"
        if total == expected
        else f"{abs(expected - (total or 0))} cents are missing or too many",
    )
    exam.criterion(
        "paid_cents is NOT NULL, as amount_cents was",
        columns["paid_cents"] == "NO",
        "NOT NULL" if columns["paid_cents"] == "NO" else "it may be NULL",
    )
    checked = await look.fetchval(CHECKED)
    exam.criterion(
        "and it has the CHECK (… > 0) that amount_cents had",
        checked == 1,
        "valid" if checked else "there is none",
    )
    left = await look.fetchval(THINGS) - payments.things
    exam.criterion(
        "nothing else is left of the migration: trigger, function, constraint",
        left <= 0,
        f"{left} left" if left > 0 else "nothing",
    )
    if await look.fetchval(EMPTY, payments.last) and not version.wrong:
        return "unfilled"
    return "copied" if total != expected else ""


def _traps(exam: Examination, old: Version, new: Version, outcome: Outcome, lost: str) -> None:
    unknown = public_name(asyncpg.UndefinedColumnError)
    refused = public_name(asyncpg.NotNullViolationError)
    if old.customers.errors[unknown]:
        exam.trap("at once")
    elif new.customers.errors[unknown]:
        exam.trap("outlived")
    elif old.customers.errors[refused] or new.customers.errors[refused]:
        exam.trap("refused")
    elif isinstance(outcome.error, asyncpg.NotNullViolationError | asyncpg.CheckViolationError):
        exam.trap("copied")
    elif lost == "unfilled":
        exam.trap("unfilled")
    elif old.wrong:
        exam.trap("updates" if set(old.wrong) == {UNCORRECTED} else "apart")
    elif lost:
        exam.trap("copied")
