"""Warm-up: a codec for jsonb."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination

TITLE = "a dict in, a dict out"

HINTS = (
    'Lesson 05, "JSON that comes as str": which of the two types has the column orders.basket?',
    "asyncpg gives JSON as text until a codec for this very type is set on the connection.",
    'await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, '
    'schema="pg_catalog")',
)

TRAPS = {
    "json": "The codec is that of json. jsonb is another type, and still comes as text.",
    "reads only": "A basket is read as a dict, and a dict cannot be stored: the codec has two "
    "directions.",
}

BASKET = {"seats": ["A1"], "note": "é"}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        conn = await asyncpg.connect(stack.postgres.dsn())
        outcome = await exam.run(conn)
        try:
            read = await conn.fetchval("select '{}'::jsonb")
            of_json = await conn.fetchval("select '{}'::json")
            back = await conn.fetchval("select $1::jsonb", BASKET)
            met = read == {} and back == BASKET
            seen = "both are" if met else f"{back!r} came back"
        except asyncpg.DataError:
            back, met, seen = None, False, "a dict is refused as a parameter"
        except (asyncpg.InterfaceError, asyncpg.PostgresError) as error:
            read = of_json = back = None
            met, seen = False, str(error)
        exam.criterion(
            "jsonb: what is read is a dict, and a dict can be stored and comes back",
            outcome.returned and met,
            seen if outcome.returned else str(outcome),
        )
        if read == {} and back is None:
            exam.trap("reads only")
        elif isinstance(read, str) and of_json == {}:
            exam.trap("json")
        await conn.close()
