"""Stretch: all seats in parts, through a PgBouncer that keeps no statements."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .kept_statements import pgbouncer

TITLE = "an export in parts, without a name"

HINTS = (
    'Lesson 10, "statement_cache_size=0: cursors and named statements still collide": which '
    "cursor has a name, and which has none?",
    "conn.cursor() always names its statement. A statement of conn.prepare() has no name where "
    "the cache is off (from asyncpg 0.31 on), and it has a cursor, too. A cursor sees the rows as "
    "they were when it was opened, and it lives in one transaction.",
    "In a transaction: `statement = await conn.prepare(…)`, `cursor = await statement.cursor()`, "
    "then `await cursor.fetch(50)` until it is empty.",
)

TRAPS = {
    "named": "A statement had a name. Another process may have given the same name to another "
    "statement on that server connection.",
    "too early": "A row came over the wire before a part needed it: a part that is read ahead, the "
    "whole table, or a row that belongs to no part. A large table would fill the memory here.",
    "two moments": "A seat that was changed during the export came as it was afterwards, and the "
    "others as they were before.",
}

PART = 50
LABELS = "select label from seats order by id"
# Stored from the last to the first: without ORDER BY, others come first.
MIX = """
    create index mix on seats (id desc);
    cluster seats using mix;
    drop index mix"""
# What another client does while the second part is written.
CHANGE = """
    update seats set label = 'moved' where id = (select max(id) from seats);
    insert into seats (id, event_id, label, price_cents)
    select max(id) + 1, 1, 'new', 100 from seats"""


class NoSpace(Exception):
    """What the learner's export may meet: the file cannot be written."""


class File:
    """Takes the parts. Notes how many rows had come over the wire when it got each."""

    def __init__(self, tap: wire.Tap, other: Any = None, *, full: bool = False) -> None:
        self.parts: list[list[str]] = []
        self.rows: list[int] = []
        self._tap, self._other, self._full = tap, other, full

    async def write(self, part: list[str]) -> None:
        self.rows.append(rows_of(self._tap))
        self.parts.append(list(part))
        if len(self.parts) == 2:
            if self._full:
                raise NoSpace
            await self._other.execute(CHANGE)

    @property
    def is_in_parts(self) -> bool:
        return all(0 < len(part) <= PART for part in self.parts)

    @property
    def is_early(self) -> bool:
        return any(rows > number * PART for number, rows in enumerate(self.rows, 1))


def rows_of(tap: wire.Tap) -> int:
    return sum(
        event.count for event in tap.events if event.side == "client" and event.message == "DataRow"
    )


async def check(exam: Examination) -> None:
    async with pgbouncer(max_prepared_statements=0) as stack:
        look = await admin(stack)
        await look.execute(MIX)
        wanted = [row["label"] for row in await look.fetch(LABELS)]
        with wire.tap(stack) as tap:
            conn = await asyncpg.connect(tap.dsn("transaction"), statement_cache_size=0)
            tap.clear()
            file = File(tap, look)
            outcome = await exam.run(conn, file.write, limit=10)
            names = {
                event.name
                for event in tap.events
                if event.side == "client" and event.message == "Parse" and event.name
            }
            came = [label for part in file.parts for label in part]
            _judged(exam, outcome, file, came, wanted)
            exam.criterion(
                "no statement has a name on the server",
                outcome.returned and not names,
                "a name was given" if names else str(outcome) if outcome.error else "none has",
            )
            if names:
                exam.trap("named")
            tap.clear()
            file = File(tap, full=True)
            outcome = await exam.run(conn, file.write, limit=10)
            works, seen = await usable(conn)
            exam.criterion(
                "the file cannot be written: that error arrives, and the connection can be used",
                isinstance(outcome.error, NoSpace) and works,
                f"{outcome}; {seen}",
            )
            conn.terminate()


def _judged(
    exam: Examination, outcome: Outcome, file: File, came: list[str], wanted: list[str]
) -> None:
    is_right = outcome.returned and came == wanted
    is_mixed = "moved" in came or "new" in came
    exam.criterion(
        "all seats come once, in the order of their ids, as they were when the export began",
        is_right,
        "right"
        if is_right
        else str(outcome)
        if not outcome.returned
        else "a seat came as it was changed meanwhile"
        if is_mixed
        else f"{len(came)} of {len(wanted)} labels, or in another order",
    )
    largest = max(map(len, file.parts), default=0)
    exam.criterion(
        f"in parts of 1 to {PART}, and no row comes over the wire before its part is wanted",
        bool(file.parts) and file.is_in_parts and not file.is_early,
        f"{len(file.parts)} parts, the largest has {largest}"
        + ("; rows came too early" if file.is_early else ""),
    )
    if file.is_early:
        exam.trap("too early")
    elif is_mixed:
        exam.trap("two moments")
