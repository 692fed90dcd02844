"""Wrong and right answers to the warm-up of exercise 12."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

ALTER = "alter table orders add column note text"


async def wait_for_it(conn: Any) -> None:
    await conn.execute("set statement_timeout = '1min'")
    try:
        await conn.execute(ALTER)
    finally:
        await conn.execute("reset statement_timeout")


async def for_the_session(conn: Any) -> None:
    await conn.execute("set lock_timeout = '0.5s'")
    await conn.execute(ALTER)


async def a_limit_of_the_client(conn: Any) -> None:
    async with asyncio.timeout(0.5):
        await conn.execute(ALTER)


async def in_one_message(conn: Any) -> None:
    await conn.execute(f"set local lock_timeout = '500ms'; {ALTER}")


async def by_nowait(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local lock_timeout = '500'")
        await conn.execute("lock table orders in access exclusive mode")
        await conn.execute(ALTER)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "queue"): wait_for_it,
    (0, "left"): for_the_session,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", a_limit_of_the_client),
    (0, None, in_one_message),
    (0, None, by_nowait),
)
