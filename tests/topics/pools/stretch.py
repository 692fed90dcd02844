"""Wrong and right answers to the stretch of exercise 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import asyncpg


async def read_once(dsn: str, current: Any) -> Any:
    password = quote(await current(), safe="")
    return await asyncpg.create_pool(
        dsn.replace("till@", f"till:{password}@"), min_size=1, max_size=2
    )


async def a_session_for_each(dsn: str, current: Any) -> Any:
    return await asyncpg.create_pool(dsn, password=current, min_size=0, max_size=2, max_queries=1)


async def a_function_that_remembers(dsn: str, current: Any) -> Any:
    known: list[str] = []

    async def remembered() -> str:
        if not known:
            known.append(await current())
        return known[0]

    return await asyncpg.create_pool(dsn, password=remembered, min_size=1, max_size=2)


async def in_the_dsn(dsn: str, current: Any) -> Any:
    return await asyncpg.create_pool(
        dsn.replace("till@", f"till:{await current()}@"), min_size=1, max_size=2
    )


async def no_pool(dsn: str, current: Any) -> Any:
    return await asyncpg.connect(dsn, password=current)


async def by_connect(dsn: str, current: Any) -> Any:
    async def connect(*arguments: Any, **options: Any) -> Any:
        return await asyncpg.connect(*arguments, **{**options, "password": await current()})

    return await asyncpg.create_pool(dsn, connect=connect, min_size=1, max_size=2)


async def a_function_around_it(dsn: str, current: Any) -> Any:
    async def password() -> str:
        return str(await current())

    return await asyncpg.create_pool(dsn, password=password, min_size=0, max_size=1)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "once"): read_once,
    (4, "each"): a_session_for_each,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "once", a_function_that_remembers),
    (4, "", in_the_dsn),
    (4, "", no_pool),
    (4, None, by_connect),
    (4, None, a_function_around_it),
)
