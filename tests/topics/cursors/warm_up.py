"""Wrong and right answers to the warm-up of exercise 13."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

IDS = "select id from orders order by id"


async def all_at_once(conn: Any, tell: Callable[[int], None]) -> None:
    for row in await conn.fetch(IDS):
        tell(row["id"])


async def first_page(conn: Any, tell: Callable[[int], None]) -> None:
    async with conn.transaction():
        cursor = await conn.cursor(IDS)
        for row in await cursor.fetch(100):
            tell(row["id"])


async def by_hand(conn: Any, tell: Callable[[int], None]) -> None:
    async with conn.transaction():
        cursor = await conn.cursor(IDS)
        while rows := await cursor.fetch(500):
            for row in rows:
                tell(row["id"])


async def with_prefetch(conn: Any, tell: Callable[[int], None]) -> None:
    async with conn.transaction(readonly=True):
        async for row in conn.cursor(IDS, prefetch=200):
            tell(row["id"])


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {(0, "all"): all_at_once}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", first_page),
    (0, None, by_hand),
    (0, None, with_prefetch),
)
