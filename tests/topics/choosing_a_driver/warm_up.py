"""Wrong and right answers to the warm-up of exercise 17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ROWS = """select label, price_cents from seats
          where event_id = 5 and label = any({}) and price_cents <= {} order by label"""


async def written_into_it(conn: Any, labels: Any, most: Any) -> Any:
    array = ", ".join("'" + label.replace("'", "''") + "'" for label in labels)
    return await conn.fetch(ROWS.format(f"array[{array}]", most))


async def as_one_tuple(conn: Any, labels: Any, most: Any) -> Any:
    return await conn.fetch(ROWS.format("$1::text[]", "$2"), (labels, most))


async def without_the_price(conn: Any, labels: Any, most: Any) -> Any:
    return await conn.fetch(ROWS.format("$1::text[]", "$2"), labels, most - 1)


async def prepared(conn: Any, labels: Any, most: Any) -> Any:
    statement = await conn.prepare(ROWS.format("$1::text[]", "$2::int"))
    return [dict(row) for row in await statement.fetch(labels, most)]


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "in the SQL"): written_into_it,
    (0, "one tuple"): as_one_tuple,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", without_the_price),
    (0, None, prepared),
)
