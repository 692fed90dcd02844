"""Task 1 of exercise 07: a partner's file, of which every good row has to be stored, and no bad one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.outcome import Outcome
from ...checking.examination import Examination
from .searching import usable

# Also for task 2, where options may be NULL.
TABLE = """
    drop table if exists arena_seats;
    create table arena_seats (label text primary key, price_cents int not null check (price_cents > 0),
                              status seat_status not null, options jsonb)"""
HEADER = "label;price;status;options"
# Far more than any way needs that does not ask for each row.
TRIPS = 100
# Of the check's own connection: code that is still running may hold a lock.
PATIENCE = {"lock_timeout": "10s"}
AISLE = {"aisle": True}
UNCLOSED = '"A16;45,00;free;{}'  # to a reader of the whole file, all that follows is in this field
BEHIND = "A15"


@dataclass
class Rows:
    """A file that grows by a line at a time, and what should come of it."""

    lines: list[str] = field(default_factory=lambda: [HEADER])
    good: dict[str, tuple[int, str, Any]] = field(default_factory=dict)
    bad: list[int] = field(default_factory=list)

    def add(
        self,
        line: str,
        label: str | None = None,
        price: int = 4500,
        status: str = "free",
        options: Any = None,
    ) -> None:
        """A good row's `label` and what is to be stored; without it the row is bad."""
        self.lines.append(line)
        if label is None:
            self.bad.append(len(self.lines))
        else:
            self.good[label] = (price, status, AISLE if options is None else options)

    def file(self) -> bytes:
        return ("\ufeff" + "\r\n".join(self.lines) + "\r\n").encode()


def ordinary() -> Rows:
    """The faults that a look at the file shows."""
    rows = Rows()
    aisle = '"{""aisle"": true}"'
    rows.add(f"A1;45,00;free;{aisle}", "A1")
    rows.add(f"A2; 45 ;held ;{aisle}", "A2", status="held")
    rows.add(f" A3 ;62,5;sold;{aisle}", "A3", 6250, "sold")
    rows.add(f"A4;;free;{aisle}")
    rows.add(f"A5;45,00;reserved;{aisle}")
    rows.add(f"A1;90,00;held;{aisle}")
    rows.lines.append("")
    rows.add('A6;45,00;free;"{""aisle"": }"')
    rows.add(f'"Box ""Royal""; left";120,00;free;{aisle}', 'Box "Royal"; left', 12000)
    rows.add("A7;45,00;free")
    rows.add(f"A8;45,00;free;{aisle};wheelchair")
    rows.add(f"A9;-45,00;free;{aisle}")
    rows.add(f"A10;45,005;free;{aisle}")
    rows.add(f"A11;0,00;free;{aisle}")
    rows.add(f";45,00;free;{aisle}")
    rows.add(f"A12;call us;free;{aisle}")
    rows.add(
        'A13;45,00;free;"{""note"": ""Zoë\'s, \\""left\\"" \\\\""}"',
        "A13",
        options={"note": 'Zoë\'s, "left" \\'},
    )
    rows.add(f"A4;70,00;free;{aisle}", "A4", 7000)
    rows.add('A14;45,00;free;"[1, 2]"')
    rows.add(UNCLOSED)
    rows.add("A15;0,29;free;{}", BEHIND, 29, options={})
    return rows


def subtle() -> Rows:
    """What Python takes for good, and PostgreSQL does not."""
    rows = Rows()
    rows.add("B1;45,00;free;{}", "B1", options={})
    rows.add('B2;45,00;free;"{""depth"": NaN}"')
    rows.add('B3;45,00;free;"{""note"": ""\\u0000""}"')
    rows.add("B4;30000000,00;free;{}")
    rows.add("B5;45,00;free;{}", "B5", options={})
    return rows


def large(count: int = 600) -> Rows:
    rows = Rows()
    for number in range(1, count + 1):
        if number % 200:
            rows.add(f"L{number};45,00;free;{{}}", f"L{number}", options={})
        else:
            rows.add(f"L{number};;free;{{}}")
    return rows


async def stored(look: Any) -> dict[str, tuple[int, str, Any]]:
    return {
        row["label"]: (
            row["price_cents"],
            row["status"],
            json.loads(row["options"]) if row["options"] else None,
        )
        for row in await look.fetch(
            "select label, price_cents, status::text, options::text from arena_seats"
        )
    }


def lines_of(outcome: Outcome) -> list[int] | None:
    """The line numbers of `(line, reason)`; None for what is no list of these."""
    try:
        found = [(line, reason) for line, reason in outcome.value]
    except (TypeError, ValueError):
        return None
    if any(
        type(line) is not int or not isinstance(reason, str) or not reason.strip()
        for line, reason in found
    ):
        return None
    return [line for line, _ in found]


async def examine(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(), server_settings=PATIENCE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "import"})

        async def run(
            rows: Rows, what: str
        ) -> tuple[Outcome, list[int] | None, dict[str, tuple[int, str, Any]]]:
            await look.execute(TABLE)
            outcome = await exam.run(conn, rows.file(), limit=15)
            await settled(exam, conn)
            found, reported = await stored(look), lines_of(outcome) if outcome.returned else None
            right = [label for label, seat in rows.good.items() if found.get(label) == seat]
            exam.criterion(
                f"{what}: good rows",
                len(right) == len(rows.good),
                f"{len(right)} of {len(rows.good)} are stored"
                + ("" if outcome.returned else f"; {outcome}"),
            )
            others = len(found) - len(right)
            exam.criterion(
                f"{what}: nothing else is stored",
                not others,
                "nothing"
                if not others
                else f"not in the file like this: {_some(label for label in found if label not in right)}",
            )
            exam.criterion(
                f"{what}: bad rows come back with their lines",
                reported == rows.bad,
                f"{len(rows.bad)} of {len(rows.bad)}"
                if reported == rows.bad
                else str(outcome)
                if not outcome.returned
                else "no list of (line, reason)"
                if reported is None
                else _differing(set(rows.bad), set(reported))
                if set(reported) != set(rows.bad)
                else "not in the order of the file, or twice",
            )
            return outcome, reported, found

        rows = ordinary()
        outcome, reported, found = await run(rows, "a messy file")
        if outcome.hung or conn.is_closed():
            return
        # What somebody sees who reads the numbers of rows, and not of lines.
        right = found == rows.good
        if not found and not outcome.returned:
            exam.trap("nothing")
        elif not found and reported and len(reported) > len(rows.bad):
            exam.trap("aborted")
        elif not outcome.returned and found.items() <= rows.good.items():
            exam.trap("half")
        elif found == {label: seat for label, seat in rows.good.items() if label != BEHIND}:
            exam.trap("swallowed")
        elif found.keys() - rows.good.keys():
            exam.trap("accepted")
        elif (
            right
            and reported is not None
            and reported != rows.bad
            and len(reported) == len(rows.bad)
        ):
            exam.trap("lines")
        elif right and reported is not None and set(rows.bad) - set(reported) == {7}:
            exam.trap("hidden")
        if right and reported == rows.bad:
            again = await exam.run(conn, rows.file(), limit=15)
            told = lines_of(again) if again.returned else None
            every = [number for number, line in enumerate(rows.lines, 1) if line and number > 1]
            exam.criterion(
                "the same file again: each row is one that is there",
                told == every and await stored(look) == found,
                f"{len(told or [])} of {len(every)} rows came back"
                if again.returned
                else str(again),
            )
        rows = subtle()
        outcome, reported, found = await run(rows, "values that only PostgreSQL refuses")
        if right and not exam.fallen and not outcome.returned and not outcome.hung:
            exam.trap("Python")
        is_usable, said = await usable(conn)
        if is_usable and right:
            tap.clear()
            await run(large(), "600 rows")
            trips = tap.round_trips("import")
            exam.criterion(
                f"at most {TRIPS} round trips for them",
                trips <= TRIPS,
                "no more" if trips <= TRIPS else str(trips),
            )
            if trips > TRIPS and not exam.fallen:
                exam.trap("row by row")
            is_usable, said = await usable(conn)
        else:
            exam.criterion(
                "600 rows, and a caller with a transaction", False, "not run: first the messy file"
            )
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if is_usable and right:
            await _in_a_transaction(exam, conn, look)


def _some(things: Iterable[object]) -> str:
    first, *others = things
    return f"{first}" + (f", and {len(others)} more" if others else "")


def _differing(bad: set[int], reported: set[int]) -> str:
    parts = [
        f"{what}: line {_some(sorted(lines))}"
        for what, lines in (("missing", bad - reported), ("good", reported - bad))
        if lines
    ]
    return "; ".join(parts)


async def settled(exam: Examination, conn: Any) -> None:
    """What an open transaction holds would stop the check's own statements."""
    if not conn.is_closed() and conn.is_in_transaction():
        if (said := ("no transaction is left open", False, "one is")) not in exam.criteria:
            exam.criterion(*said)
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            await conn.execute("rollback")


async def _in_a_transaction(exam: Examination, conn: Any, look: Any) -> None:
    await look.execute(TABLE)
    transaction = conn.transaction()
    await transaction.start()
    await exam.run(conn, ordinary().file(), limit=15)
    again = await exam.run(conn, ordinary().file(), limit=15)
    exam.criterion(
        "twice in a transaction",
        again.returned,
        "both come to their end" if again.returned else str(again),
    )
    try:
        inside = await conn.fetchval("select count(*) from arena_seats")
        await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        exam.criterion("called in a transaction, which goes on", False, type(error).__name__)
        conn.terminate()
        return
    left = await look.fetchval("select count(*) from arena_seats")
    met = inside == len(ordinary().good) and not left
    exam.criterion(
        "called in a transaction, which goes on, and is rolled back",
        met,
        "nothing is left" if met else f"{inside} rows in it, {left} afterwards",
    )
