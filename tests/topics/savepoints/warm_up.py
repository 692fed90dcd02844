"""Wrong and right answers to the warm-up of exercise 09."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

INSERT = "insert into payments (order_id, amount_cents, method) values ($1, $2, 'card')"


async def catch_each(conn: Any, rows: Any) -> int:
    stored = 0
    for row in rows:
        try:
            await conn.execute(INSERT, *row)
            stored += 1
        except asyncpg.ForeignKeyViolationError:
            pass
        except asyncpg.PostgresError:
            break
    return stored


async def one_savepoint(conn: Any, rows: Any) -> int:
    stored = 0
    try:
        async with conn.transaction():
            for row in rows:
                await conn.execute(INSERT, *row)
                stored += 1
    except asyncpg.PostgresError:
        pass
    return stored


async def until_the_first_bad_one(conn: Any, rows: Any) -> int:
    stored = 0
    for row in rows:
        try:
            async with conn.transaction():
                await conn.execute(INSERT, *row)
        except asyncpg.PostgresError:
            break
        stored += 1
    return stored


async def savepoints_by_hand(conn: Any, rows: Any) -> int:
    stored = 0
    for row in rows:
        await conn.execute("savepoint one_row")
        try:
            await conn.execute(INSERT, *row)
            stored += 1
        except asyncpg.PostgresError:
            await conn.execute("rollback to one_row")
        await conn.execute("release one_row")
    return stored


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "aborted"): catch_each,
    (0, "all"): one_savepoint,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", until_the_first_bad_one),
    (0, None, savepoints_by_hand),
)
