"""Wrong and right answers to the warm-up of exercise 05."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson


async def codec_of_json(conn: Any) -> None:
    await conn.set_type_codec(
        "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog", format="text"
    )


async def only_reads(conn: Any) -> None:
    await conn.set_type_codec("jsonb", encoder=str, decoder=json.loads, schema="pg_catalog")


async def asks_for_text(conn: Any) -> None:
    await conn.set_type_codec(
        "jsonb", encoder=lambda value: value, decoder=json.loads, schema="pg_catalog"
    )


async def binary(conn: Any) -> None:
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        schema="pg_catalog",
        format="binary",
    )


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "json"): codec_of_json,
    (0, "reads only"): asks_for_text,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "reads only", only_reads),
    (0, None, binary),
)
