"""A file with every fault: every good row has to be stored, and no bad one."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .arena import PATIENCE, TABLE, settled, stored
from .other_workers import SHOP_SETTING, beside_them, settings, settings_are_kept
from .partner_file import BEHIND, Rows, differing, large, ordinary, some, subtle

TITLE = "a file with every fault"

HINTS = (
    "What does executemany() do with the good rows when one is bad? And who knows what a status, "
    "and what jsonb, is?",
    "All fields go as text into a temporary table, with the numbers of their lines. There "
    "PostgreSQL can be asked about each row, before any of them goes on into the table.",
    'csv.reader([line], delimiter=";") for each line, with its number; COPY into text columns; a '
    "`case` with pg_input_is_valid(status, 'seat_status') and (options, 'jsonb') for the reason; "
    "insert … select distinct on (label) … on conflict do nothing returning label, and all lines "
    "that are not among these come back.",
)

TRAPS = {
    "nothing": "One bad row, and no row is stored: what is sent in one piece is stored in one "
    "piece.",
    "half": "The rows before the first bad one are stored, and the others are not. The next try "
    "meets those.",
    "aborted": "After the first error of a transaction, all its statements are refused: good rows "
    "came back as bad ones, and what was stored before is gone.",
    "hidden": "The good rows are there. Of a row whose label is taken, nobody is told: it was "
    "skipped in silence.",
    "accepted": "Bad rows are stored: a value that the file may not hold was taken as it is, or "
    "bent until it fitted.",
    "swallowed": "A quotation mark that is never closed has taken all that follows it into one "
    "field.",
    "lines": "The right rows, and the wrong numbers: these lines of the file hold other rows.",
    "Python": "A value passed the checks in Python, PostgreSQL refused it, and all the good rows "
    "were lost with it.",
    "locked": "The table is locked for as long as the import runs: the shop sells nothing.",
    "race": "The label was free when the import looked, and taken when it inserted: another worker "
    "was quicker, and every good row was lost.",
    "row by row": "All is right, and the server was asked about each row. With 20,000 of them "
    "that is minutes.",
}

# Far more than any way needs that does not ask for each row.
TRIPS = 100


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(), server_settings=PATIENCE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "import"})

        async def run(
            rows: Rows, what: str, **form: str
        ) -> tuple[Outcome, list[int] | None, dict[str, tuple[int, str, Any]]]:
            await look.execute(TABLE)
            outcome = await exam.run(conn, rows.file(**form), limit=15)
            await settled(exam, conn)
            found, reported = await stored(look), _lines_of(outcome) if outcome.returned else None
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
                else "not in the file like this: "
                + some(label for label in found if label not in right),
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
                else differing(set(rows.bad), set(reported))
                if set(reported) != set(rows.bad)
                else "not in the order of the file, or twice",
            )
            return outcome, reported, found

        await conn.execute(SHOP_SETTING)
        before = await settings(exam, conn)
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
            await look.execute("update arena_seats set price_cents = price_cents + 1")
            found = await stored(look)
            again = await exam.run(conn, rows.file(), limit=15)
            told = _lines_of(again) if again.returned else None
            every = [number for number, line in enumerate(rows.lines, 1) if line and number > 1]
            exam.criterion(
                "the same file after a rise in prices: each row is bad, and no seat is changed",
                told == every and await stored(look) == found,
                f"{len(told or [])} of {len(every)} rows came back"
                + ("" if await stored(look) == found else "; seats were changed")
                if again.returned
                else str(again),
            )
        rows = subtle()
        outcome, reported, found = await run(rows, "values that Python and PostgreSQL read apart")
        if right and not exam.fallen and not outcome.returned and not outcome.hung:
            exam.trap("Python")
        is_usable, said = await usable(conn)
        if is_usable and right:
            tap.clear()
            await run(
                large(), "600 rows, without \\r and byte order mark", first="", end="\n", last=""
            )
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
            await settings_are_kept(exam, conn, before)
            await _in_a_transaction(exam, conn, look)
        if right and not conn.is_closed():
            await _beside_a_worker(exam, stack, conn, look)


async def _beside_a_worker(exam: Examination, stack: Any, conn: Any, look: Any) -> None:
    """Another worker has inserted A2, with another price, and commits while the import runs."""
    await look.execute(TABLE)
    seat = "insert into arena_seats values ('{}', 1, 'free', '{{}}')"
    await look.execute(seat.format("Z1"))
    outcome = await beside_them(
        exam,
        stack,
        conn,
        ordinary().file(),
        seat.format("A2"),
        "update arena_seats set status = 'sold' where label = 'Z1'",
    )
    await settled(exam, conn)
    found, lines = await stored(look), _lines_of(outcome) if outcome.returned else None
    met = lines == sorted([*ordinary().bad, 3]) and len(found) == len(ordinary().good) + 1
    exam.criterion(
        "another worker inserts A2 at the same time: only that row is bad",
        met and found["A2"][0] == 1,
        "it is" if met else f"{len(found) - 2} other rows are stored; {outcome}",
    )


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


def _lines_of(outcome: Outcome) -> list[int] | None:
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
