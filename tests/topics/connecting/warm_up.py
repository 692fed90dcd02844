"""Wrong and right answers to the warm-up of exercise 01."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg


async def limit_the_queries(dsn: str) -> Any:
    return await asyncpg.connect(dsn, command_timeout=1)


async def none_instead_of_an_error(dsn: str) -> Any:
    try:
        return await asyncpg.connect(dsn, timeout=1)
    except TimeoutError:
        return None


async def too_patient(dsn: str) -> Any:
    return await asyncpg.connect(dsn, timeout=10)


async def limit_around_it(dsn: str) -> Any:
    async with asyncio.timeout(1):
        return await asyncpg.connect(dsn)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "queries"): limit_the_queries,
    (0, "hidden"): none_instead_of_an_error,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", too_patient),
    (0, None, limit_around_it),
)
