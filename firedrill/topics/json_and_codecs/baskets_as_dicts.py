"""Exercise 05: a basket that is a dict everywhere, a status that is an enum, baskets that were encoded twice."""

from __future__ import annotations

import enum
import json
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers
from ...servers.server import SUPERUSER
from . import attempt
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "05_json_and_codecs"

Use = Callable[[Any], Awaitable[Any]]


async def _does(use: Use, conn: Any) -> Outcome:
    """What comes of a use of a connection that has the learner's codec: that may raise, block or give anything."""
    return await attempt.run(use, conn, limit=5)


def _shown(value: object, width: int = 70) -> str:
    """A learner's decoder may give an object that cannot even be printed."""
    try:
        text = repr(value)
    except Exception:
        text = type(value).__name__
    return text if len(text) <= width else text[: width - 1] + "…"


def _same(found: object, wanted: object) -> bool:
    """Equal, and of the same type: True is no 1, and a str that equals whatever it is compared with is no dict."""
    try:
        return type(found) is type(wanted) and bool(found == wanted)
    except Exception:
        return False


# Task 1: a basket is a dict, everywhere

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


async def _baskets(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await asyncpg.connect(stack.postgres.dsn())
        await admin.execute("create type ticket as (label text, options jsonb)")
        conn = await asyncpg.connect(stack.postgres.dsn())
        opened = await exam.run(conn)
        if not opened.returned:
            exam.criterion("a connection is opened", False, str(opened))
            conn.terminate()
            return
        uses: dict[str, tuple[Use, object]] = {
            "a column: what SQL has stored": (_read_what_sql_wrote, BASKET),
            "a parameter: stored, and read again": (
                lambda conn: conn.fetchval(STORED, BASKET),
                BASKET,
            ),
            "and SQL finds its event": (_found_by_sql, "5"),
            "None is NULL": (lambda conn: conn.fetchval("select $1::jsonb is null", None), True),
            "arrays, both ways": (
                lambda conn: conn.fetchval("select $1::jsonb[]", [BASKET, {}]),
                [BASKET, {}],
            ),
            "json, as row_to_json makes it": (
                _event_as_json,
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
        seen: dict[str, Outcome] = {}
        for what, (use, wanted) in uses.items():
            seen[what] = outcome = await _does(use, conn)
            met = outcome.returned and _same(outcome.value, wanted)
            exam.criterion(
                what,
                met,
                "right"
                if met
                else _shown(outcome.value) + " came back"
                if outcome.returned
                else str(outcome),
            )
        refused = await _does(
            lambda conn: conn.fetchval("select $1::jsonb", {"seats": {"A1"}}), conn
        )
        exam.criterion(
            "a set is no JSON: refused",
            refused.error is not None,
            str(refused) if refused.error else f"{_shown(refused.value)} was stored",
        )
        after = await _does(lambda conn: conn.fetchval("select 1"), conn)
        exam.criterion(
            "and the connection is still in use",
            after.value == 1,
            "it is" if after.value == 1 else str(after),
        )
        kinds = {
            row["kind"]
            for row in await admin.fetch("select distinct jsonb_typeof(basket) as kind from orders")
        }
        conn.terminate()
        await admin.close()

    def right(what: str) -> bool:
        return seen[what].returned and _same(seen[what].value, uses[what][1])

    texts = " ".join(str(outcome) for outcome in seen.values())
    simple = right("a column: what SQL has stored") and right("a parameter: stored, and read again")
    if "unsupported jsonb version" in texts:
        exam.trap("version")
    elif simple and not right("COPY"):
        exam.trap("text")
    elif "string" in kinds:
        exam.trap("twice")
    elif right("COPY") and not right("json, as row_to_json makes it"):
        exam.trap("one type")
    elif "64-bit" in texts:
        exam.trap("large")
    elif refused.returned:
        exam.trap("anything")
    elif not right('the strings "1E5" and "{…}", as SQL has stored them'):
        exam.trap("decoded")
    elif not right("and as parameters: what SQL sees"):
        exam.trap("as it is")


async def _read_what_sql_wrote(conn: Any) -> Any:
    return await conn.fetchval("select ($1::text)::jsonb", json.dumps(BASKET))


async def _found_by_sql(conn: Any) -> Any:
    return await conn.fetchval("select basket ->> 'event' from orders order by id desc limit 1")


async def _event_as_json(conn: Any) -> Any:
    return await conn.fetchval(
        "select row_to_json(e) from (select id, title from events where id = 5) e"
    )


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
    return [
        list(
            await conn.fetchrow(
                """
        select jsonb_typeof($1::jsonb), $1::jsonb #>> '{}', json_typeof($2::json), $2::json #>> '{}'""",
                text,
                text,
            )
        )
        for text in STRING_DOCUMENTS
    ]


# Task 2: a status is a member of SeatStatus


class SeatStatus(enum.Enum):
    FREE = "free"
    IN_A_BASKET = "held"  # a name from which nobody can guess the label
    SOLD = "sold"


FREE, HELD, SOLD = SeatStatus


async def _statuses(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await asyncpg.connect(stack.postgres.dsn())
        conn = await asyncpg.connect(stack.postgres.dsn())
        registered = await exam.run(conn, SeatStatus)
        if not registered.returned:
            exam.criterion("a codec is registered", False, str(registered))
            conn.terminate()
            return

        async def written(conn: Any) -> Any:
            await conn.execute("update seats set status = $1 where id = 1", HELD)
            return await admin.fetchval("select status::text from seats where id = 1")

        async def copied(conn: Any) -> Any:
            await conn.copy_records_to_table(
                "seats",
                columns=["event_id", "label", "price_cents", "status"],
                records=[(5, "balcony 1", 4500, SOLD)],
            )
            return await admin.fetchval("select status::text from seats where label = 'balcony 1'")

        async def whole_row(conn: Any) -> Any:
            return (await conn.fetchval("select s from seats s where id = 401"))["status"]

        uses: dict[str, tuple[Use, object]] = {
            "reading": (
                lambda conn: conn.fetchval("select status from seats where id = 401"),
                FREE,
            ),
            "reading an array": (
                lambda conn: conn.fetchval("select enum_range(null::seat_status)"),
                [FREE, HELD, SOLD],
            ),
            "writing": (written, "held"),
            "= any($1), with a list of members": (
                lambda conn: conn.fetchval(
                    "select count(*) from seats where event_id = 5 and status = any($1)",
                    [FREE, SOLD],
                ),
                100,
            ),
            "a whole row": (whole_row, FREE),
            "COPY": (copied, "sold"),
        }
        seen: dict[str, Outcome] = {}
        for what, (use, wanted) in uses.items():
            seen[what] = outcome = await _does(use, conn)
            met = outcome.returned and _same(outcome.value, wanted)
            exam.criterion(
                what,
                met,
                "right"
                if met
                else _shown(outcome.value) + " came back"
                if outcome.returned
                else str(outcome),
            )
        after = await _does(lambda conn: conn.fetchval("select 1"), conn)
        exam.criterion(
            "and the connection is still in use",
            after.value == 1,
            "it is" if after.value == 1 else str(after),
        )
        conn.terminate()
        await admin.close()
    right = {
        what: seen[what].returned and _same(seen[what].value, wanted)
        for what, (_, wanted) in uses.items()
    }
    if any(
        f'"{name}' in str(seen["writing"]) for name in ("SeatStatus.", HELD.name, HELD.name.lower())
    ):
        exam.trap("name")
    elif right["reading"] and not right["writing"]:
        exam.trap("reading only")
    elif right["writing"] and not right["reading"]:
        exam.trap("writing only")
    elif right["writing"] and not right["COPY"]:
        exam.trap("text")


# Task 3: baskets that were encoded twice

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
ALL = "select id, basket::text as basket, jsonb_typeof(basket) as kind, xmin::text as written_by from orders order by id"


async def _mended(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        for number, stored in (OBJECTS | STRINGS).items():
            await admin.execute(
                "update orders set basket = to_jsonb($2::text) where id = $1", number, stored
            )
        before = {row["id"]: row for row in await admin.fetch(ALL)}
        wanted = {
            number: await admin.fetchval("select ($1::text)::jsonb::text", stored)
            for number, stored in OBJECTS.items()
        }

        conn = await asyncpg.connect(stack.postgres.dsn())
        await conn.set_type_codec("jsonb", **CODEC)
        first = await exam.run(conn, limit=8)
        after = {row["id"]: row for row in await admin.fetch(ALL)}
        mended = [
            number
            for number in OBJECTS
            if number in after and after[number]["basket"] == wanted[number]
        ]
        objects = [
            number for number in OBJECTS if number in after and after[number]["kind"] == "object"
        ]
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
            len(mended) == len(OBJECTS),
            f"{len(mended)} of {len(OBJECTS)}",
        )
        exam.criterion(
            f"{len(STRINGS)} strings that hold no object are as they were",
            len(kept) == len(STRINGS),
            f"{len(kept)} of {len(STRINGS)}",
        )
        exam.criterion(
            f"{len(others)} good baskets were not written",
            not rewritten,
            f"{len(rewritten)} were" if rewritten else "none was",
        )
        exam.criterion(
            "the number of mended orders came back",
            _same(first.value, len(OBJECTS)),
            f"{_shown(first.value)} came back" if first.returned else "nothing came back",
        )
        again = await exam.run(conn, limit=8)
        later = {row["id"]: row["basket"] for row in await admin.fetch(ALL)}
        same = later == {number: row["basket"] for number, row in after.items()}
        exam.criterion(
            "a second run finds nothing",
            same and _same(again.value, 0),
            "it does not"
            if same and again.value == 0
            else f"{_shown(again.value)} came back"
            if same and again.returned
            else "it changed baskets"
            if again.returned
            else str(again),
        )
        seen = await _does(
            lambda conn: conn.fetchval("select basket from orders where id = 3"), conn
        )
        conn.terminate()
        await admin.close()
    longer = [
        number
        for number in OBJECTS
        if number in after and len(after[number]["basket"]) > len(before[number]["basket"])
    ]
    if longer:
        exam.trap("again")
    elif not objects and isinstance(seen.value, dict):
        exam.trap("reading")
    elif not objects and isinstance(first.error, asyncpg.DataError | ValueError):
        exam.trap("stopped")
    elif len(kept) < len(STRINGS):
        exam.trap("strings")
    elif len(mended) < len(objects):
        exam.trap("numbers")
    elif rewritten:
        exam.trap("all")


DRILL = Drill(
    NAME,
    "Exercise 05: baskets, statuses, and what was encoded twice",
    (
        Task(
            1,
            "a basket is a dict, everywhere",
            _baskets,
            drill=NAME,
            hints=(
                "Lesson 05 has a table of six uses. In which of its columns does everything work?",
                "Inside of a row, of a composite and in COPY a value travels as bytes, and only a codec of bytes is asked for it. And "
                "json is another type than jsonb.",
                'format="binary" for both types. The encoder returns bytes; for jsonb with b"\\x01" in front, which the decoder '
                "leaves out: data[1:].",
            ),
            traps={
                "text": "In columns and parameters all is well, and COPY has no encoder: the codec of a text is not asked for bytes.",
                "version": "PostgreSQL takes the first byte of a jsonb for the version of its format, and that byte was a part of the "
                "JSON.",
                "one type": "jsonb is right, and PostgreSQL's functions also answer with json, which is another type.",
                "twice": "There are strings in the database now: a basket was encoded twice, and SQL finds nothing in it.",
                "large": "An integer of more than 64 bits was refused. Bar codes have that many digits.",
                "anything": "What is no JSON was stored all the same, as something else. Nobody who reads it can tell what it was.",
                "decoded": "Documents that are strings were read as what they look like. The code of that voucher is 1E5, and no number.",
                "as it is": "A str went to PostgreSQL as if it were JSON already. A voucher's code became a number, a note an object.",
            },
        ),
        Task(
            2,
            "a status is a member of SeatStatus",
            _statuses,
            drill=NAME,
            hints=(
                "In register, print str(member), member.name and member.value of each member. Which is a label of the type?",
                "The encoder has to make the label of a member, and the decoder a member of the label. COPY and whole rows ask for "
                "bytes.",
                'format="binary", encoder=lambda status: status.value.encode(), decoder=lambda data: SeatStatus(data.decode()).',
            ),
            traps={
                "name": "PostgreSQL was given the name of the member in Python. The type has other labels.",
                "reading only": "Members are read, and none can be written.",
                "writing only": "Members are written, and what is read is no member.",
                "text": "INSERT and UPDATE have their codec; COPY and whole rows ask for bytes, and there is no codec for these.",
            },
        ),
        Task(
            3,
            "baskets that were encoded twice",
            _mended,
            drill=NAME,
            hints=(
                "Which JSON types do the baskets have? Group them by jsonb_typeof(basket), and look at the strings.",
                "Whatever passes through Python is decoded and encoded on its way, numbers included. PostgreSQL can take a string "
                "apart and look into it without that.",
                "basket #>> '{}' is the text of a string. `… is json object` says whether it holds an object, and ::jsonb reads it: "
                "one UPDATE, whose answer ends with the number of rows.",
            ),
            traps={
                "again": "The baskets were encoded once more: the codec makes JSON of what it is given, and it was given text.",
                "reading": "Python reads a dict now, and in the database there is still a string: SQL finds nothing in it.",
                "stopped": "The first string that is no JSON stopped it, and nothing was mended.",
                "strings": "Strings that hold no object were changed: a voucher code is no number, and a string in a string is none of "
                "these baskets.",
                "numbers": "The baskets went through Python's float: a number is not what was stored.",
                "all": "Good baskets were written again, and whoever changes one at this moment waits for it.",
            },
        ),
    ),
)
