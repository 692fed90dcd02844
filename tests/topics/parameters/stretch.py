"""Wrong and right answers to the stretch of exercise 06."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SELECT = 'select title from events where {} order by title collate "C"'


async def as_a_pattern(conn: Any, prefix: str) -> Any:
    rows = await conn.fetch(SELECT.format("title like $1"), f"{prefix}%")
    return [row["title"] for row in rows]


async def without_the_backslash(conn: Any, prefix: str) -> Any:
    pattern = prefix.replace("%", r"\%").replace("_", r"\_")
    rows = await conn.fetch(SELECT.format("title like $1"), f"{pattern}%")
    return [row["title"] for row in rows]


async def backslash_last(conn: Any, prefix: str) -> Any:
    pattern = prefix.replace("%", r"\%").replace("_", r"\_").replace("\\", "\\\\")
    rows = await conn.fetch(SELECT.format("title like $1"), f"{pattern}%")
    return [row["title"] for row in rows]


async def whatever_case(conn: Any, prefix: str) -> Any:
    rows = await conn.fetch(SELECT.format("starts_with(lower(title), lower($1))"), prefix)
    return [row["title"] for row in rows]


async def none_for_none(conn: Any, prefix: str) -> Any:
    if not prefix:
        return []
    rows = await conn.fetch(SELECT.format("starts_with(title, $1)"), prefix)
    return [row["title"] for row in rows]


async def escaped(conn: Any, prefix: str) -> Any:
    pattern = prefix.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    rows = await conn.fetch(SELECT.format("title like $1 || '%' escape '!'"), pattern)
    return [row["title"] for row in rows]


async def compared_here(conn: Any, prefix: str) -> Any:
    rows = await conn.fetch(SELECT.format("true"))
    return [row["title"] for row in rows if row["title"].startswith(prefix)]


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "pattern"): as_a_pattern,
    (4, "backslash"): without_the_backslash,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "pattern", backslash_last),
    (4, "", whatever_case),
    (4, "", none_for_none),
    (4, None, escaped),
    (4, None, compared_here),
)
