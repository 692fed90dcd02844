"""Seats from the box office, by COPY: an enum, dicts, NULL, and the codec that the shop has set."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import usable
from ...checking.examination import Examination
from .arena import PATIENCE, TABLE, settled
from .box_office import SEATS
from .comparing import equal
from .other_workers import SHOP_SETTING, beside_them, settings, settings_are_kept

TITLE = "seats from the box office"

HINTS = (
    "Which of the seven ways asks a codec for bytes? Look at the text of the error: which type, "
    "and what is missing?",
    "COPY in binary form needs an encoder of bytes for jsonb. There are columns for which no "
    "codec of jsonb is asked.",
    "Copy into a temporary table whose options are text, json.dumps() for dicts only, and insert "
    "… select options::jsonb. Or register the codec of bytes from lesson 05 on this connection, "
    "and copy the dicts. status.value for the enum.",
)

TRAPS = {
    "text": "The codec of this connection makes text, and COPY asked for bytes: no row was stored.",
    "twice": "There are strings in the database: the options were encoded twice, and SQL finds "
    "nothing in them.",
    "null": "None became the JSON value null. To SQL that is a value, and not NULL.",
    "name": "PostgreSQL was given the name of the member in Python. Its label is another.",
    "Python's text": "The options were written as Python writes a dict. That is no JSON.",
    "codec": "The seats are right, and the connection has lost the shop's codec: the next "
    "borrower gets text.",
    "rows": "Stored, by one INSERT for each seat or with one: not by COPY.",
    "locked": "The table is locked for as long as the seats are copied: the shop sells nothing.",
    "half": "A seat was refused, and others of the same call are stored.",
}

COPY_TRIPS = 40  # a codec asks the catalogue

FOUND = """
    select label, price_cents, status::text, options::text, jsonb_typeof(options) as kind
    from arena_seats"""
TEMPORARY = """
    select count(*) from pg_class
    where relnamespace = pg_my_temp_schema() and relkind = 'r'"""


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await asyncpg.connect(stack.postgres.dsn(), server_settings=PATIENCE)
        await look.execute(TABLE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        await conn.set_type_codec(
            "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
        await conn.execute(SHOP_SETTING)
        before = await settings(exam, conn)
        tap.clear()
        outcome = await exam.run(conn, list(SEATS), limit=15)
        await settled(exam, conn)
        messages = [event.message for event in tap.events if event.direction == "frontend"]
        sizes = [
            sum(event.size for event in tap.events if event.message == message)
            for message in ("CopyData", "Bind")
        ]
        trips = tap.round_trips("shop")
        found = {row["label"]: row for row in await look.fetch(FOUND)}
        # Whatever text it is: a string instead of an object is reported as that.
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
        by_copy = sizes[0] > sizes[1] and messages.count("Bind") < COPY_TRIPS >= trips
        exam.criterion(
            f"by COPY, in at most {COPY_TRIPS} round trips",
            by_copy,
            "it is"
            if by_copy
            else f"{trips} round trips; {sizes[0]} bytes by COPY, {sizes[1]} as arguments",
        )
        kept = await _left_as_it_was(exam, conn, before, "")
        atomic = True
        if outcome.returned and not conn.is_closed():
            atomic = await _bad_seat(exam, conn, look)
            await _left_as_it_was(exam, conn, before, "after an error: ")
            if not conn.is_closed():
                await _beside_a_worker(exam, stack, conn, look)
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


async def _left_as_it_was(exam: Examination, conn: Any, before: object, when: str) -> bool:
    if not conn.is_closed():
        tables = await exam.call(conn.fetchval, TEMPORARY)
        exam.criterion(
            f"{when}no temporary table is left on the session",
            equal(tables.value, 0),
            f"{tables.value} left" if tables.returned else str(tables),
        )
        await settings_are_kept(exam, conn, before, when)
    return await _codec_is_kept(exam, conn, when)


async def _beside_a_worker(exam: Examination, stack: Any, conn: Any, look: Any) -> None:
    await look.execute("truncate arena_seats")
    await look.execute("insert into arena_seats values ('Z1', 1, 'free', '{}')")
    outcome = await beside_them(
        exam,
        stack,
        conn,
        list(SEATS),
        f"insert into arena_seats values ('{SEATS[1][0]}', 1, 'free', '{{}}')",
        "update arena_seats set status = 'sold' where label = 'Z1'",
    )
    await settled(exam, conn)
    left = await look.fetchval("select count(*) from arena_seats")
    exam.criterion(
        "another worker inserts a label at the same time: an error, and nothing is stored",
        not outcome.returned and left == 2,
        f"{outcome}; {left - 2} are stored",
    )


async def _codec_is_kept(exam: Examination, conn: Any, when: str) -> bool:
    # The codec may be the learner's by now: it may raise, block or give anything.
    seen = await exam.call(conn.fetchval, "select '{\"aisle\": true}'::jsonb")
    taken = await exam.call(conn.fetchval, "select $1::jsonb ->> 'aisle'", {"aisle": True})
    kept = equal(seen.value, {"aisle": True}) and taken.value == "true"
    bad = seen if not seen.returned else taken
    exam.criterion(
        f"{when}the next borrower passes and gets dicts",
        kept,
        "they do" if kept else str(bad) if not bad.returned else str(seen),
    )
    return kept


async def _bad_seat(exam: Examination, conn: Any, look: Any) -> bool:
    """The label of one row, far down, is there already.

    True where nothing of the others was stored.
    """
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
