"""Wrong and right answers to the stretch of exercise 05."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

UPDATE = "update orders set basket = $2 where id = $1"


async def replaced_in_the_text(conn: Any, order_id: int, basket: Any) -> None:
    text = orjson.dumps(basket).decode().replace("\\u0000", "")
    await conn.execute(UPDATE, order_id, text)


def changed(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        for key in list(value):
            value[changed(key)] = changed(value.pop(key))
    elif isinstance(value, list):
        value[:] = [changed(one) for one in value]
    return value


async def changed_in_place(conn: Any, order_id: int, basket: Any) -> None:
    await conn.execute(UPDATE, order_id, json.dumps(changed(basket)))


async def only_the_first_level(conn: Any, order_id: int, basket: Any) -> None:
    clean = {
        key.replace("\0", ""): value.replace("\0", "") if isinstance(value, str) else value
        for key, value in basket.items()
    }
    await conn.execute(UPDATE, order_id, orjson.dumps(clean).decode())


async def refuse(conn: Any, order_id: int, basket: Any) -> None:
    await conn.execute(UPDATE, order_id, json.dumps(basket, allow_nan=False))


async def nothing_at_an_error(conn: Any, order_id: int, basket: Any) -> None:
    try:
        await conn.execute(UPDATE, order_id, orjson.dumps(basket).decode())
    except Exception:
        await conn.execute(UPDATE, order_id, "{}")


def copied(value: Any) -> Any:
    match value:
        case str():
            return "".join(letter for letter in value if letter != "\0")
        case dict():
            return {copied(key): copied(one) for key, one in value.items()}
        case list():
            return list(map(copied, value))
    return value


async def with_orjson(conn: Any, order_id: int, basket: Any) -> None:
    await conn.execute(UPDATE, order_id, orjson.dumps(copied(basket)).decode())


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "escaped"): replaced_in_the_text,
    (4, "changed"): changed_in_place,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "", only_the_first_level),
    (4, "", refuse),
    (4, "", nothing_at_an_error),
    (4, None, with_orjson),
)
