"""Stretch: a partner's stream, which does not fit into memory and may break off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until

TITLE = "a stream that breaks off"

HINTS = (
    'Lesson 07, "Memory: the list, and the report" and "Prove it: a stream that breaks off". '
    "What may `records=` of `copy_records_to_table` be, besides a list?",
    "COPY takes rows as they come, and all of them or none. It has no ON CONFLICT, so it goes "
    "into a temporary table first, with a number for each line; then one `insert … select` "
    "stores the first of each label.",
    "In a transaction: `drop table if exists pg_temp.came`, create it with `line int generated "
    "always as identity` and `on commit drop`, copy with `columns=[…]`, then `insert … select "
    "distinct on (label) … order by label, line on conflict do nothing`.",
)

TRAPS = {
    "collects": "The source had given most of its seats, and nearly nothing had been sent: they "
    "are all in this process's memory.",
    "half": "The source broke off, and a part of its seats is stored.",
    "duplicate": "A label that came twice, or that was there already, ended the import with "
    "UniqueViolationError: COPY has no ON CONFLICT, and INSERT has one only if you write it.",
    "last one": "Of two seats with one label the later one was stored.",
}

TABLE = """
    create table partner_seats (
        label text primary key, price_cents int not null check (price_cents > 0), note text);
    insert into partner_seats values ('S 7', 1, 'was there')"""
FOUND = "select label, price_cents, note from partner_seats"
COUNT = 4000
NOTE = "x" * 500
SENT = COUNT * len(NOTE) // 4  # bytes that are on their way when three quarters were given
TEMPORARY = """
    select count(*) from pg_class
    where relnamespace = pg_my_temp_schema() and relkind = 'r'"""


class BrokenOff(Exception):
    """What a source raises."""


class Source:
    """Gives seats. Some labels come twice, one is in the table already."""

    def __init__(self, tap: wire.Tap, *, breaks: bool = False, price: int = 4000) -> None:
        self.was_sent = True
        self._tap, self._breaks, self._price = tap, breaks, price

    def _sent(self) -> bool:
        return (
            sum(event.size for event in self._tap.events if event.direction == "frontend") >= SENT
        )

    async def seats(self) -> AsyncIterator[tuple[str, int, str | None]]:
        for number in range(COUNT):
            if number == COUNT * 3 // 4:
                self.was_sent = bool(await until(self._sent, "a part of the seats is sent", 2))
                if self._breaks:
                    raise BrokenOff
            yield f"S {number}", self._price, NOTE
        yield "S 1", 9999, None
        yield "extra; 'seat'", 100, None


WANTED = {f"S {number}": (4000, NOTE) for number in range(COUNT)} | {
    "S 7": (1, "was there"),
    "extra; 'seat'": (100, None),
}


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        owner = await asyncpg.connect(stack.postgres.dsn())
        await owner.execute(TABLE)
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})

        async def load(**how: Any) -> tuple[Source, Outcome]:
            tap.clear()
            source = Source(tap, **how)
            return source, await exam.run(conn, source.seats(), limit=20)

        async def stored() -> dict[str, tuple[int, str | None]]:
            return {label: (price, note) for label, price, note in await look.fetch(FOUND)}

        before = await stored()
        _, broken = await load(breaks=True)
        left = len(await stored()) - len(before)
        exam.criterion(
            "the source breaks off: its error arrives, and nothing is stored",
            isinstance(broken.error, BrokenOff) and not left,
            f"{broken}; seats stored: {left}",
        )
        _, refused = await load(price=-1)
        kept = len(await stored()) - len(before)
        works, seen = await usable(conn)
        exam.criterion(
            "a price of -1: CheckViolationError arrives, nothing is stored, and the connection "
            "can be used",
            isinstance(refused.error, asyncpg.CheckViolationError) and not kept and works,
            f"{refused}; seats stored: {kept}; {seen}",
        )
        if not works:
            conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        around = conn.transaction()
        await around.start()
        source, first = await load()
        _, second = await load()
        if conn.is_in_transaction():
            await around.commit()
        found = await stored()
        exam.criterion(
            "twice in a transaction of the caller's: the first of each label is stored, and the "
            "numbers are right",
            found == WANTED and (first.value, second.value) == (COUNT, 0),
            f"{first}, then {second}; seats in the table: {len(found)} of {len(WANTED)}",
        )
        exam.criterion(
            "the seats are sent as they come",
            source.was_sent,
            "they are" if source.was_sent else "nearly none was sent before the last quarter came",
        )
        tables = 0 if conn.is_closed() else await conn.fetchval(TEMPORARY)
        exam.criterion("no temporary table is left", not tables, f"{tables} left")
        conn.terminate()
    if not source.was_sent:
        exam.trap("collects")
    elif left:
        exam.trap("half")
    elif isinstance(first.error, asyncpg.UniqueViolationError):
        exam.trap("duplicate")
    elif found.get("S 1") == (9999, None):
        exam.trap("last one")
