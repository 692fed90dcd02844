"""Exercise 07: many rows at once: a partner's file, seats with options by COPY, a price list that comes again and again."""

from __future__ import annotations

import contextlib
import enum
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...expect import describe
from ...servers.server import SUPERUSER
from . import attempt, importing
from ...checking.outcome import Outcome
from ...checking.examination import Examination
from .importing import PATIENCE, TABLE, settled
from .searching import usable

NAME = "07_bulk_loading"


class SeatStatus(enum.Enum):
    FREE = "free"
    HELD = "held"
    SOLD = "sold"


async def _does(use: Callable[[], Awaitable[Any]]) -> Outcome:
    """A use of a connection whose codec may be the learner's: that may raise, block or give anything."""
    return await attempt.run(use, limit=5)


def _equals(found: object, wanted: object) -> bool:
    """Also for what a learner's decoder made, which may refuse to be compared."""
    try:
        return type(found) is type(wanted) and bool(found == wanted)
    except Exception:
        return False


# Task 2: seats from the box office

STATUSES = (SeatStatus.HELD, SeatStatus.FREE, SeatStatus.SOLD)
OPTIONS: tuple[Any, ...] = (
    {"aisle": True},
    None,
    {},
    {"note": 'Zoë\'s "left" \\ , ;\tbox\nand so on', "rows": [1, {"x": None}]},
    {"barcode": 2**70, "half": 0.5},
)
SEATS = [
    (
        f'{number} "Box", left' if number % 7 == 0 else f"C{number}",
        4500 + number,
        STATUSES[number % 3],
        OPTIONS[number % 5],
    )
    for number in range(500)
]
COPY_TRIPS = 40  # a codec asks the catalogue


async def _copied(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(), server_settings=PATIENCE)
        await look.execute(TABLE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        await conn.set_type_codec(
            "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
        tap.clear()
        outcome = await exam.run(conn, list(SEATS), limit=15)
        await settled(exam, conn)
        messages = [event.message for event in tap.events if event.direction == "frontend"]
        trips = tap.round_trips("shop")
        found = {
            row["label"]: row
            for row in await look.fetch("""
            select label, price_cents, status::text, options::text, jsonb_typeof(options) as kind from arena_seats""")
        }
        # Whatever text it is: a string in place of an object is reported as that.
        read = {
            label: None if row["options"] is None else json.loads(row["options"])
            for label, row in found.items()
        }
        there = [seat for seat in SEATS if seat[0] in found]
        exam.criterion(
            "the seats are stored",
            len(there) == len(found) == len(SEATS),
            f"{len(there)} of {len(SEATS)}" + ("" if outcome.returned else f"; {outcome}"),
        )
        right = [
            label
            for label, price, status, _ in there
            if (found[label]["price_cents"], found[label]["status"]) == (price, status.value)
        ]
        exam.criterion(
            "with price and status", len(right) == len(SEATS), f"{len(right)} of {len(SEATS)}"
        )
        objects = [
            label
            for label, _, _, options in there
            if options is not None and found[label]["kind"] == "object"
        ]
        wanted = sum(options is not None for *_, options in SEATS)
        exam.criterion(
            "options are objects to PostgreSQL",
            len(objects) == wanted,
            f"{len(objects)} of {wanted}",
        )
        same = [label for label, _, _, options in there if read[label] == options]
        exam.criterion(
            "with all that is in them", len(same) == len(SEATS), f"{len(same)} of {len(SEATS)}"
        )
        nulls = [
            label
            for label, _, _, options in there
            if options is None and found[label]["options"] is None
        ]
        exam.criterion(
            "None is NULL",
            len(nulls) == len(SEATS) - wanted,
            f"{len(nulls)} of {len(SEATS) - wanted}",
        )
        by_copy = (
            "CopyData" in messages and messages.count("Bind") < COPY_TRIPS and trips <= COPY_TRIPS
        )
        exam.criterion(
            f"by COPY, in at most {COPY_TRIPS} round trips",
            by_copy,
            "it is"
            if by_copy
            else f"{trips} round trips, {'with' if 'CopyData' in messages else 'without'} COPY",
        )
        if not conn.is_closed():
            tables = await conn.fetchval(
                "select count(*) from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r'"
            )
            exam.criterion(
                "no temporary table is left on the session", not tables, f"{tables} left"
            )
        kept = await _codec_is_kept(exam, conn)
        atomic = (
            await _bad_seat(exam, conn, look) if outcome.returned and not conn.is_closed() else True
        )
        exam.criterion("the connection can be used afterwards", *await usable(conn))
        conn.terminate()
    strings = [label for label, row in found.items() if row["kind"] == "string"]
    error = outcome.error
    if strings:
        exam.trap("twice")
    elif isinstance(error, asyncpg.InternalClientError):
        exam.trap("text")
    elif isinstance(error, asyncpg.InvalidTextRepresentationError) and "seat_status" in str(error):
        exam.trap("name")
    elif isinstance(error, asyncpg.InvalidTextRepresentationError) and "json" in str(error):
        exam.trap("Python's text")
    elif len(there) == len(SEATS) and any(row["kind"] == "null" for row in found.values()):
        exam.trap("null")
    elif len(same) == len(SEATS) and not kept:
        exam.trap("codec")
    elif len(same) == len(SEATS) and "CopyData" not in messages:
        exam.trap("rows")
    elif len(same) == len(SEATS) and not atomic:
        exam.trap("half")


async def _codec_is_kept(exam: Examination, conn: Any) -> bool:
    seen = await _does(lambda: conn.fetchval("select '{\"aisle\": true}'::jsonb"))
    taken = await _does(lambda: conn.fetchval("select $1::jsonb ->> 'aisle'", {"aisle": True}))
    kept = _equals(seen.value, {"aisle": True}) and taken.value == "true"
    bad = seen if not seen.returned else taken
    exam.criterion(
        "whoever comes next passes and gets dicts",
        kept,
        "as before"
        if kept
        else str(bad)
        if not bad.returned
        else f"{type(seen.value).__name__} came back",
    )
    return kept


async def _bad_seat(exam: Examination, conn: Any, look: Any) -> bool:
    """The label of one row, far down, is there already. True where nothing of the others was stored."""
    await look.execute(
        "truncate arena_seats; insert into arena_seats values ('C498', 1, 'free', '{}')"
    )
    outcome = await exam.run(conn, list(SEATS), limit=15)
    await settled(exam, conn)
    left = await look.fetchval("select count(*) from arena_seats") - 1
    met = isinstance(outcome.error, asyncpg.UniqueViolationError) and left == 0
    exam.criterion(
        "a label that is taken: UniqueViolationError, and nothing is stored",
        met,
        f"{outcome}" + (f"; {left} are stored" if left else ""),
    )
    return bool(left == 0)


# Task 3: the price list

LIST_TRIPS = 20
STATE = "select event_id, label, id, price_cents, status::text, xmin::text as version from seats"


def _price_list(
    seats: dict[tuple[int, str], Any],
) -> tuple[list[tuple[int, str, int]], dict[tuple[int, str], int]]:
    """A list of 500 or so for the shop's 500 seats, and what is to be written."""
    prices, wanted = [], {}
    for number, (key, seat) in enumerate(sorted(seats.items())):
        price = seat["price_cents"] + (500 if number % 10 == 0 else 0)
        if number % 12 != 5:  # the list does not name all seats
            prices.append((*key, price))
            if price != seat["price_cents"]:
                wanted[key] = price
    for number in range(1, 22):
        prices.append((5, f"balcony {number}", 3000))
        wanted[5, f"balcony {number}"] = 3000
    [changed, *_] = wanted
    # Again, further down: another price; a new one and then the old one; a new seat with its last price.
    prices += [
        (*changed, 7777),
        (4, "J9", 9999),
        (4, "J9", seats[4, "J9"]["price_cents"]),
        (5, "balcony 1", 3300),
    ]
    wanted[changed], wanted[5, "balcony 1"] = 7777, 3300
    wanted.pop((4, "J9"), None)
    return prices, wanted


async def _state(look: Any) -> dict[tuple[int, str], Any]:
    return {(row["event_id"], row["label"]): row for row in await look.fetch(STATE)}


async def _prices(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, before="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER), server_settings=PATIENCE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        before = await _state(look)
        prices, wanted = _price_list(before)
        tap.clear()
        outcome = await exam.run(conn, list(prices), limit=15)
        await settled(exam, conn)
        trips = tap.round_trips("shop")
        after = await _state(look)
        right = [
            key
            for key, price in wanted.items()
            if key in after and after[key]["price_cents"] == price
        ]
        exam.criterion(
            "new seats, and new prices",
            len(right) == len(wanted),
            f"{len(right)} of {len(wanted)}" + ("" if outcome.returned else f"; {outcome}"),
        )
        lost = [
            key
            for key, seat in before.items()
            if key not in after
            or (after[key]["id"], after[key]["status"]) != (seat["id"], seat["status"])
        ]
        exam.criterion(
            "ids and statuses are kept", not lost, "all" if not lost else f"{len(lost)} are not"
        )
        others = before.keys() - wanted.keys()
        rewritten = [
            key
            for key in others
            if key not in after or after[key]["version"] != before[key]["version"]
        ]
        exam.criterion(
            f"the other {len(others)} seats were not written",
            not rewritten,
            "none was" if not rewritten else f"{len(rewritten)} were",
        )
        counted = _equals(outcome.value, len(wanted))
        exam.criterion(
            "the number of seats that were written came back",
            counted,
            str(outcome)
            if not outcome.returned or type(outcome.value) is not int
            else f"{outcome.value} of {len(wanted)}",
        )
        exam.criterion(
            f"at most {LIST_TRIPS} round trips",
            trips <= LIST_TRIPS,
            "no more" if trips <= LIST_TRIPS else str(trips),
        )
        versions = {key: row["version"] for key, row in after.items()}
        again = await exam.run(conn, list(prices), limit=15)
        await settled(exam, conn)
        later = {key: row["version"] for key, row in (await _state(look)).items()}
        written = sum(versions.get(key) != version for key, version in later.items())
        exam.criterion(
            "the same list again: nothing is written, and 0 came back",
            not written and _equals(again.value, 0),
            f"{written} were written; {again.value!r:.50} came back"
            if again.returned
            else str(again),
        )
        none = await exam.run(conn, [], limit=5)
        await settled(exam, conn)
        exam.criterion(
            "an empty list: 0",
            _equals(none.value, 0),
            str(none) if not none.returned else f"{none.value!r:.50}",
        )
        await look.execute("update seats set price_cents = price_cents + 1")
        exact = await _state(look)
        await exam.run(conn, [*prices[:250], (5, "nowhere", -1), *prices[250:]], limit=15)
        await settled(exam, conn)
        partly = {key: row["version"] for key, row in (await _state(look)).items()} != {
            key: row["version"] for key, row in exact.items()
        }
        exam.criterion(
            "a price below 0 in the list: nothing is written",
            not partly,
            "a part was" if partly else "nothing is",
        )
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if is_usable:
            await _in_a_transaction(exam, conn, look, prices)
        conn.terminate()
    good = len(right) == len(wanted)
    if isinstance(outcome.error, asyncpg.CardinalityViolationError):
        exam.trap("again")
    elif lost and good:
        exam.trap("replaced")
    elif (
        outcome.returned
        and not lost
        and not any(after[key]["price_cents"] == wanted[key] for key in wanted if key in before)
    ):
        exam.trap("ignored")
    elif good and trips > LIST_TRIPS:
        exam.trap("row by row")
    elif good and isinstance(again.error, asyncpg.DuplicateTableError):
        exam.trap("left behind")
    elif good and rewritten:
        exam.trap("all")
    elif outcome.returned and len(wanted) - len(right) in (1, 2, 3) and not lost:
        exam.trap("last")
    elif good and partly:
        exam.trap("half")


async def _in_a_transaction(
    exam: Examination, conn: Any, look: Any, prices: list[tuple[int, str, int]]
) -> None:
    exact = {key: row["version"] for key, row in (await _state(look)).items()}
    transaction = conn.transaction()
    await transaction.start()
    outcomes = [await exam.run(conn, list(prices), limit=15) for _ in range(2)]
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
        await transaction.rollback()
    kept = {key: row["version"] for key, row in (await _state(look)).items()} == exact
    bad = next((outcome for outcome in outcomes if not outcome.returned), None)
    exam.criterion(
        "twice in a transaction, which is rolled back",
        kept and not bad,
        describe(bad.error)[:90]
        if bad and bad.error
        else str(bad)
        if bad
        else "nothing is left"
        if kept
        else "something is left",
    )


DRILL = Drill(
    NAME,
    "Exercise 07: a file, seats with options, and a price list",
    (
        Task(
            1,
            "a file with every fault",
            importing.examine,
            drill=NAME,
            hints=(
                "What does executemany() do with the good rows when one is bad? And who knows what a status, and what jsonb, is?",
                "All fields go as text into a temporary table, with the numbers of their lines. There PostgreSQL can be asked about each "
                "row, before any of them goes on into the table.",
                'csv.reader([line], delimiter=";") for each line, with its number; COPY into text columns; a `case` with '
                "pg_input_is_valid(status, 'seat_status') and (options, 'jsonb') for the reason; insert … select distinct on "
                "(label) … on conflict do nothing returning label, and all lines that are not among these come back.",
            ),
            traps={
                "nothing": "One bad row, and no row is stored: what is sent in one piece is stored in one piece.",
                "half": "The rows before the first bad one are stored, and the others are not. The next try meets those.",
                "aborted": "After the first error of a transaction, all its statements are refused: good rows came back as bad ones, and "
                "what was stored before is gone.",
                "hidden": "The good rows are there. Of a row whose label is taken, nobody is told: it was skipped in silence.",
                "accepted": "Bad rows are stored: a value that the file may not hold was taken as it is, or bent until it fitted.",
                "swallowed": "A quotation mark that is never closed has taken all that follows it into one field.",
                "lines": "The right rows, and the wrong numbers: whoever looks at these lines of the file finds good rows.",
                "Python": "Python took a value for good that PostgreSQL refuses, and all others were lost with it.",
                "row by row": "All is right, and the server was asked about each row. With 20,000 of them that is minutes.",
            },
        ),
        Task(
            2,
            "seats from the box office",
            _copied,
            drill=NAME,
            hints=(
                "Which of the seven ways asks a codec for bytes? Look at the text of the error: which type, and what is missing?",
                "COPY in binary form needs an encoder of bytes for jsonb. There are columns for which no codec of jsonb is asked.",
                "Copy into a temporary table whose options are text, json.dumps() for dicts only, and insert … select options::jsonb. Or "
                "register the codec of bytes from lesson 05 on this connection, and copy the dicts. status.value for the enum.",
            ),
            traps={
                "text": "The codec of this connection makes text, and COPY asked for bytes: no row was stored.",
                "twice": "There are strings in the database: the options were encoded twice, and SQL finds nothing in them.",
                "null": "None became the JSON value null. To SQL that is a value, and not NULL.",
                "name": "PostgreSQL was given the name of the member in Python. Its label is another.",
                "Python's text": "The options were written as Python writes a dict. That is no JSON.",
                "codec": "The seats are right, and the connection has lost the shop's codec: whoever comes next gets text.",
                "rows": "Stored, by one INSERT for each seat or with one: not by COPY.",
                "half": "A seat was refused, and others of the same call are stored.",
            },
        ),
        Task(
            3,
            "the price list, each Monday",
            _prices,
            drill=NAME,
            hints=(
                "What does DO NOTHING do to a price that has changed? And how many times does the loop wait?",
                "One INSERT … SELECT from a staging table, or from unnest, with ON CONFLICT DO UPDATE. It may meet each seat once, and "
                "should leave alone what is right already.",
                "select distinct on (event_id, label) … order by event_id, label, line desc; on conflict (event_id, label) do update set "
                "price_cents = excluded.price_cents where the two differ. The status line ends with the number. And a temporary table "
                "has to be gone when the function is called again.",
            ),
            traps={
                "ignored": "New seats were added, and no price was changed: whatever was there already was skipped.",
                "again": "The list has a seat twice, and one statement may not write a row twice: nothing was stored.",
                "last": "A seat is in the list more than once, and another than its last price is stored.",
                "all": "Prices are right, and seats were written whose price was right before.",
                "replaced": "Prices are right, and the seats are other ones: their ids, or who has bought them, are lost.",
                "row by row": "All is right, and the server was asked about each row.",
                "left behind": "The second call found what the first had left behind: a temporary table lives as long as its connection.",
                "half": "One price was refused, and a part of the others is stored.",
            },
        ),
    ),
)
