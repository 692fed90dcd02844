"""A basket is a dict, everywhere: columns, parameters, arrays, rows, composites, COPY."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import shown
from .uses import Use, examine, still_in_use

TITLE = "a basket is a dict, everywhere"

HINTS = (
    "Lesson 05 has a table of six uses. In which of its columns does everything work?",
    "Inside a row, a composite and in COPY a value travels as bytes, and only a codec of "
    "bytes is asked for it. And json is another type than jsonb.",
    'format="binary" for both types. The encoder returns bytes; for jsonb with b"\\x01" in front, '
    "which the decoder leaves out: data[1:].",
)

TRAPS = {
    "text": "In columns and parameters all is well, and COPY has no encoder: the codec of a text "
    "is not asked for bytes.",
    "version": "PostgreSQL takes the first byte of a jsonb for the version of its format, and "
    "that byte was a part of the JSON.",
    "one type": "jsonb is right, and PostgreSQL's functions also answer with json, which is "
    "another type.",
    "twice": "There are strings in the database now: a basket was encoded twice, and SQL finds "
    "nothing in it.",
    "large": "An integer of more than 64 bits was refused. Bar codes have that many digits.",
    "anything": "What is no JSON was stored all the same, as something else. A reader cannot tell "
    "what it was.",
    "decoded": "Documents that are strings were read as what they look like. The code of that "
    "voucher is 1E5, and no number.",
    "as it is": "A str went to PostgreSQL as if it were JSON already. A voucher's code became a "
    "number, a note an object.",
}

BASKET = {
    "event": 5,
    "seats": ["A1", "A2"],
    "gift": False,
    "holder": "Zoë",
    "barcode": 2**70,
    "note": None,
}
# A voucher's code, and a note: documents that are strings, and look like a number and an object.
STRING_DOCUMENTS = ["1E5", '{"event": 5}']
STORED = (
    "insert into orders (customer_id, total_cents, basket) values (1, 11700, $1) returning basket"
)
EVENT = "select row_to_json(e) from (select id, title from events where id = 5) e"
AS_SQL_SEES = """
    select jsonb_typeof($1::jsonb), $1::jsonb #>> '{}', json_typeof($2::json), $2::json #>> '{}'"""
KINDS = "select distinct jsonb_typeof(basket) as kind from orders"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute("create type ticket as (label text, options jsonb)")
        conn = await asyncpg.connect(stack.postgres.dsn())
        opened = await exam.run(conn)
        if not opened.returned:
            exam.criterion("a connection is opened", False, str(opened))
            conn.terminate()
            return
        seen = await examine(exam, conn, _uses())
        refused = await exam.call(
            lambda conn: conn.fetchval("select $1::jsonb", {"seats": {"A1"}}), conn
        )
        exam.criterion(
            "a set is no JSON: refused",
            refused.error is not None,
            f"{shown(refused.value)} was stored" if refused.returned else str(refused),
        )
        no_number = await exam.call(
            lambda conn: conn.fetchval("select $1::jsonb", {"depth": float("nan")}), conn
        )
        exam.criterion(
            "NaN is no JSON: refused",
            no_number.error is not None,
            f"{shown(no_number.value)} was stored" if no_number.returned else str(no_number),
        )
        await still_in_use(exam, conn)
        kinds = {row["kind"] for row in await look.fetch(KINDS)}
        conn.terminate()

    simple = ("a column: what SQL has stored", "a parameter: stored, and read again")
    if "unsupported jsonb version" in seen.texts():
        exam.trap("version")
    elif all(map(seen.right, simple)) and not seen.right("COPY"):
        exam.trap("text")
    elif "string" in kinds:
        exam.trap("twice")
    elif seen.right("COPY") and not seen.right("json, as row_to_json makes it"):
        exam.trap("one type")
    elif "64-bit" in seen.texts():
        exam.trap("large")
    elif refused.returned or no_number.returned:
        exam.trap("anything")
    elif not seen.right('the strings "1E5" and "{…}", as SQL has stored them'):
        exam.trap("decoded")
    elif not seen.right("and as parameters: what SQL sees"):
        exam.trap("as it is")


def _uses() -> dict[str, tuple[Use, object]]:
    """And what should come of them."""
    return {
        "a column: what SQL has stored": (_read_what_sql_wrote, BASKET),
        "a parameter: stored, and read again": (lambda conn: conn.fetchval(STORED, BASKET), BASKET),
        "and SQL finds its event": (_found_by_sql, "5"),
        "None is NULL": (lambda conn: conn.fetchval("select $1::jsonb is null", None), True),
        "arrays, both ways": (
            lambda conn: conn.fetchval("select $1::jsonb[]", [BASKET, {}]),
            [BASKET, {}],
        ),
        "json, as row_to_json makes it": (
            lambda conn: conn.fetchval(EVENT),
            {"id": 5, "title": "The Farewell Tour"},
        ),
        "and as a parameter": (
            lambda conn: conn.fetchval("select ($1::json) ->> 'event'", BASKET),
            "5",
        ),
        "a row(…)": (
            lambda conn: conn.fetchval("select row(7, $1::jsonb)", BASKET),
            (7, BASKET),
        ),
        "a whole row": (_whole_row, BASKET),
        "a composite, both ways": (_ticket, BASKET),
        "COPY": (_copied, BASKET),
        'the strings "1E5" and "{…}", as SQL has stored them': (
            _strings_of_sql,
            STRING_DOCUMENTS * 2,
        ),
        "and as parameters: what SQL sees": (
            _strings_in_sql,
            [["string", text] * 2 for text in STRING_DOCUMENTS],
        ),
    }


async def _read_what_sql_wrote(conn: Any) -> Any:
    return await conn.fetchval("select ($1::text)::jsonb", json.dumps(BASKET))


async def _found_by_sql(conn: Any) -> Any:
    return await conn.fetchval("select basket ->> 'event' from orders order by id desc limit 1")


async def _whole_row(conn: Any) -> Any:
    return (await conn.fetchval("select o from orders o order by id desc limit 1"))["basket"]


async def _ticket(conn: Any) -> Any:
    return (await conn.fetchval("select $1::ticket", ("A1", BASKET)))["options"]


async def _copied(conn: Any) -> Any:
    await conn.copy_records_to_table(
        "orders", columns=["customer_id", "total_cents", "basket"], records=[(2, 9100, BASKET)]
    )
    return await conn.fetchval("select basket from orders where total_cents = 9100")


async def _strings_of_sql(conn: Any) -> Any:
    return [
        await conn.fetchval(f"select to_{kind}($1::text)", text)
        for kind in ("jsonb", "json")
        for text in STRING_DOCUMENTS
    ]


async def _strings_in_sql(conn: Any) -> Any:
    return [list(await conn.fetchrow(AS_SQL_SEES, text, text)) for text in STRING_DOCUMENTS]
