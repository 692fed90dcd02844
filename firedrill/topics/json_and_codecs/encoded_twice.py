"""Baskets that were encoded twice are made objects again, and nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from .uses import same

TITLE = "baskets that were encoded twice"

HINTS = (
    "Which JSON types do the baskets have? Group them by jsonb_typeof(basket), and look at the "
    "strings.",
    "Whatever passes through Python is decoded and encoded on its way, numbers included. "
    "PostgreSQL can take a string apart and look into it without that.",
    "basket #>> '{}' is the text of a string. `… is json object` says whether it holds an object, "
    "and ::jsonb reads it: one UPDATE, whose answer ends with the number of rows.",
)

TRAPS = {
    "again": "The baskets were encoded once more: the codec makes JSON of what it is given, and "
    "it was given text.",
    "reading": "Python reads a dict now, and in the database there is still a string: SQL finds "
    "nothing in it.",
    "stopped": "The first string that is no JSON stopped it, and nothing was repaired.",
    "strings": "Strings that hold no object were changed: a voucher code is no number, and a "
    "string in a string is none of these baskets.",
    "numbers": "The baskets went through Python's float: a number is not what was stored.",
    "all": "Good baskets were written again: each customer who changes one meanwhile has to wait.",
    "overwritten": "A customer's new basket is lost: it was read before they changed it, and "
    "written afterwards.",
    "locked": "It waits for orders, or locks orders, that need no repair: the shop stands still.",
}

# Numbers of orders in the shop's data, and what the older version has made of them, as JSON text.
OBJECTS = {
    3: '{"event": 1, "seats": ["A4"], "total": 1.10}',
    9: '{"event": 2, "barcode": 12345678901234567890123}',
    12: '{"event": 2, "holder": "Zoë", "gift": true}',
}
STRINGS = {
    20: "see order 12",
    21: "1200",
    22: "null",
    23: "{not a basket",
    24: '["A1"]',
    25: '"see order 12"',
    26: json.dumps(OBJECTS[12]),
}
CODEC: dict[str, Any] = {
    "encoder": lambda value: b"\x01" + json.dumps(value).encode(),
    "decoder": lambda data: json.loads(bytes(data)[1:]),
    "schema": "pg_catalog",
    "format": "binary",
}
ALL = """
    select id, basket::text as basket, jsonb_typeof(basket) as kind, xmin::text as written_by
    from orders order by id"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        for number, stored in (OBJECTS | STRINGS).items():
            await look.execute(
                "update orders set basket = to_jsonb($2::text) where id = $1", number, stored
            )
        wanted = {
            number: await look.fetchval("select ($1::text)::jsonb::text", stored)
            for number, stored in OBJECTS.items()
        }
        conn = await asyncpg.connect(stack.postgres.dsn())
        try:
            await conn.set_type_codec("jsonb", **CODEC)
            await _repair(exam, conn, look, wanted)
            if not exam.fallen and not conn.is_closed():
                await _beside_customers(exam, stack, conn, look)
        finally:
            conn.terminate()


async def _beside_customers(exam: Examination, stack: Any, conn: Any, look: Any) -> None:
    """One customer changes a broken basket at this moment, another one a good order."""
    for number, stored in OBJECTS.items():
        await look.execute(
            "update orders set basket = to_jsonb($2::text) where id = $1", number, stored
        )
    one, other = await admin(stack), await admin(stack)
    await other.execute("begin; update orders set total_cents = 1 where id = 1")
    await one.execute("begin; update orders set basket = '{\"event\": 4}' where id = 3")
    running = exam.start(conn, limit=12)
    pid = conn.get_server_pid()

    async def waiting() -> bool:
        return running.done() or await look.fetchval("select $1 = any(pg_blocking_pids($2))", *pids)

    pids = one.get_server_pid(), pid
    await until(waiting, "the repair waits for the customer's order", 5)
    await one.execute("commit")
    await running.wait(6)
    held_up = not running.done()
    await other.execute("rollback")
    outcome = await running
    baskets = dict(
        await look.fetch("select id, basket->>'event' from orders where id in (3, 9, 12)")
    )
    kept = baskets[3] == "4"
    exam.criterion(
        "a customer changes a broken basket meanwhile: theirs stays, the others are repaired",
        kept and outcome.returned and baskets[9] == baskets[12] == "2" and same(outcome.value, 2),
        f"{outcome}; the customer's basket {'is there' if kept else 'is lost'}",
    )
    exam.criterion(
        "an order that is right, and being changed, holds nothing up",
        not held_up,
        "it does not" if not held_up else "it was waited for",
    )
    if held_up:
        exam.trap("locked")
    elif not kept:
        exam.trap("overwritten")


async def _repair(exam: Examination, conn: Any, look: Any, wanted: dict[int, str]) -> None:
    before = {row["id"]: row for row in await look.fetch(ALL)}
    first = await exam.run(conn, limit=8)
    after = {row["id"]: row for row in await look.fetch(ALL)}

    there = [number for number in OBJECTS if number in after]
    repaired = [number for number in there if after[number]["basket"] == wanted[number]]
    objects = [number for number in there if after[number]["kind"] == "object"]
    kept = [
        number
        for number in STRINGS
        if number in after and after[number]["basket"] == before[number]["basket"]
    ]
    others = before.keys() - OBJECTS.keys() - STRINGS.keys()
    rewritten = [
        number
        for number in others
        if number not in after or after[number]["written_by"] != before[number]["written_by"]
    ]
    exam.criterion(
        "it comes to its end", first.returned, "it does" if first.returned else str(first)
    )
    exam.criterion(
        f"{len(OBJECTS)} baskets are objects again",
        len(objects) == len(OBJECTS),
        f"{len(objects)} are",
    )
    exam.criterion(
        "with every digit of their numbers",
        len(repaired) == len(OBJECTS),
        f"{len(repaired)} of {len(OBJECTS)}",
    )
    exam.criterion(
        f"{len(STRINGS)} strings that hold no object are unchanged",
        len(kept) == len(STRINGS),
        f"{len(kept)} of {len(STRINGS)}",
    )
    exam.criterion(
        f"{len(others)} good baskets were not written",
        not rewritten,
        f"{len(rewritten)} were" if rewritten else "none was",
    )
    exam.criterion(
        "the number of repaired orders came back",
        same(first.value, len(OBJECTS)),
        str(first) if first.returned else "nothing came back",
    )

    again = await exam.run(conn, limit=8)
    later = {row["id"]: row["basket"] for row in await look.fetch(ALL)}
    unchanged = later == {number: row["basket"] for number, row in after.items()}
    nothing = unchanged and same(again.value, 0)
    seen = "it changed baskets" if again.returned and not unchanged else str(again)
    exam.criterion("a second run finds nothing", nothing, "it does not" if nothing else seen)

    read = await exam.call(
        lambda conn: conn.fetchval("select basket from orders where id = 3"), conn
    )
    longer = [
        number for number in there if len(after[number]["basket"]) > len(before[number]["basket"])
    ]
    if longer:
        exam.trap("again")
    elif not objects and isinstance(read.value, dict):
        exam.trap("reading")
    elif not objects and isinstance(first.error, asyncpg.DataError | ValueError):
        exam.trap("stopped")
    elif len(kept) < len(STRINGS):
        exam.trap("strings")
    elif len(repaired) < len(objects):
        exam.trap("numbers")
    elif rewritten:
        exam.trap("all")
