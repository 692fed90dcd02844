"""Wrong and right answers to the warm-up of exercise 11."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


async def set_it(conn: Any, query: str) -> Any:
    await conn.execute("set statement_timeout = '3s'")
    return await conn.fetchval(query)


async def local_without_a_transaction(conn: Any, query: str) -> Any:
    await conn.execute("set local statement_timeout = '3s'")
    return await conn.fetchval(query)


async def reset_afterwards(conn: Any, query: str) -> Any:
    await conn.execute("set statement_timeout = '3s'")
    value = await conn.fetchval(query)
    await conn.execute("reset statement_timeout")
    return value


async def a_limit_of_the_client(conn: Any, query: str) -> Any:
    return await conn.fetchval(query, timeout=3)


async def by_set_config(conn: Any, query: str) -> Any:
    async with conn.transaction():
        await conn.execute("select set_config('statement_timeout', '3s', true)")
        return await conn.fetchval(query)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "left"): set_it,
    (0, "outside"): local_without_a_transaction,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "left", reset_afterwards),
    (0, "outside", a_limit_of_the_client),
    (0, None, by_set_config),
)
