"""Wrong and right answers to the warm-up of exercise 06."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COUNT = "select count(*) from seats where event_id = 5 and label in ({})"


async def quotes_doubled(conn: Any, labels: Any) -> Any:
    wanted = ", ".join("'" + label.replace("'", "''") + "'" for label in labels) or "null"
    return await conn.fetchval(COUNT.format(wanted))


async def a_placeholder_for_each(conn: Any, labels: Any) -> Any:
    wanted = ", ".join(f"${number}" for number in range(1, len(labels) + 1))
    return await conn.fetchval(COUNT.format(wanted), *labels)


async def only_labels_without_quotes(conn: Any, labels: Any) -> Any:
    if any("'" in label for label in labels):
        raise ValueError("no such label")
    return await conn.fetchval(
        "select count(*) from seats where event_id = 5 and label = any($1::text[])", labels
    )


async def placeholders_and_none(conn: Any, labels: Any) -> Any:
    wanted = ", ".join(f"${number}" for number in range(1, len(labels) + 1)) or "null"
    return await conn.fetchval(COUNT.format(wanted), *labels)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "in the SQL"): quotes_doubled,
    (0, "empty"): a_placeholder_for_each,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", only_labels_without_quotes),
    (0, None, placeholders_and_none),
)
