"""The errors of lesson 05."""

from __future__ import annotations

import enum
import json
from typing import Any

import asyncpg
import orjson

from firedrill import servers

from ..raising import raised_by


class SeatStatus(enum.Enum):
    FREE = "free"
    HELD = "held"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    conn = await asyncpg.connect(stack.postgres.dsn())
    raised: dict[str, BaseException] = {}
    await conn.execute(
        "create type ticket as (label text, options jsonb); create domain cents as int"
    )
    catalog: dict[str, Any] = {"schema": "pg_catalog"}
    parameter = "select $1::jsonb"

    async def use_a_str() -> Any:
        return (await conn.fetchval("select basket from orders where id = 1"))["seats"]

    raised["json is a str"] = await raised_by(use_a_str())
    raised["dict without codec"] = await raised_by(conn.fetchval(parameter, {"event": 5}))
    raised["unknown type"] = await raised_by(
        conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads)
    )

    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, **catalog)
    raised["no binary encoder"] = await raised_by(
        conn.copy_records_to_table(
            "orders",
            columns=["customer_id", "total_cents", "basket"],
            records=[(1, 0, {"event": 5})],
        )
    )
    raised["text encoding of composites"] = await raised_by(
        conn.fetchval("select o from orders o where id = 1")
    )
    raised["text decoder given bytes"] = await raised_by(
        conn.fetchval("select row(id, basket) from orders where id = 1")
    )
    raised["invalid json"] = await raised_by(conn.fetchval(parameter, float("nan")))
    await conn.set_type_codec("jsonb", encoder=orjson.dumps, decoder=orjson.loads, **catalog)
    raised["bytes for text"] = await raised_by(conn.fetchval(parameter, {"event": 5}))

    await conn.set_type_codec(
        "jsonb", encoder=orjson.dumps, decoder=orjson.loads, format="binary", **catalog
    )
    raised["jsonb version"] = await raised_by(conn.fetchval(parameter, {"event": 5}))
    number = await conn.fetchval("select gen_random_uuid()")
    raised["orjson type"] = await raised_by(conn.fetchval(parameter, {"id": number}))
    raised["orjson integer"] = await raised_by(conn.fetchval(parameter, [2**64]))
    raised["orjson key"] = await raised_by(conn.fetchval(parameter, {7: "A1"}))

    await conn.set_type_codec("seat_status", encoder=str, decoder=SeatStatus)
    raised["enum label"] = await raised_by(
        conn.execute("update seats set status = $1 where id = 1", SeatStatus.HELD)
    )
    raised["enum member"] = await raised_by(conn.fetchval("select 'sold'::seat_status"))
    raised["alias non-scalar"] = await raised_by(
        conn.set_builtin_type_codec("ticket", codec_name="pg_contrib.hstore")
    )
    raised["tuple codec only"] = await raised_by(
        conn.set_type_codec("ticket", encoder=str, decoder=str)
    )
    raised["codec on domain"] = await raised_by(
        conn.set_type_codec("cents", encoder=str, decoder=int)
    )
    raised["codec on array"] = await raised_by(
        conn.set_type_codec("_int4", encoder=str, decoder=str, **catalog)
    )
    raised["infinite interval"] = await raised_by(conn.fetchval("select interval 'infinity'"))
    await conn.close()
    return raised
