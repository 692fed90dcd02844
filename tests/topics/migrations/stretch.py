"""Wrong and right answers to the stretch of exercise 12."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

LIMIT = "set local lock_timeout = '200ms'"


async def until_it_works(conn: Any, step: Any) -> None:
    while True:
        try:
            async with conn.transaction():
                await conn.execute(LIMIT)
                await step(conn)
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.01)


async def whatever_the_error(conn: Any, step: Any) -> None:
    for attempt in range(5):
        try:
            async with conn.transaction():
                await conn.execute(LIMIT)
                await step(conn)
            return
        except asyncpg.PostgresError:
            if attempt == 4:
                raise
        await asyncio.sleep(0.01)


async def in_one_transaction(conn: Any, step: Any) -> None:
    async with conn.transaction():
        await conn.execute(LIMIT)
        for attempt in range(5):
            try:
                await step(conn)
            except asyncpg.PostgresError:
                if attempt == 4:
                    raise
                await asyncio.sleep(0.01)
            else:
                return


async def in_the_session(conn: Any, step: Any) -> None:
    await conn.execute("set lock_timeout = '200ms'")
    for attempt in range(5):
        try:
            async with conn.transaction():
                await step(conn)
            return
        except asyncpg.LockNotAvailableError:
            if attempt == 4:
                raise
        await asyncio.sleep(0.01)


async def four_attempts(conn: Any, step: Any) -> None:
    for attempt in range(4):
        try:
            async with conn.transaction():
                await conn.execute(LIMIT)
                await step(conn)
            return
        except asyncpg.LockNotAvailableError:
            if attempt == 3:
                raise
        await asyncio.sleep(0.01)


async def by_savepoint(conn: Any, step: Any) -> None:
    """Right as well, although it keeps one transaction: nothing is locked in between."""
    async with conn.transaction():
        await conn.execute(LIMIT)
        for attempt in range(5):
            try:
                async with conn.transaction():
                    await step(conn)
            except asyncpg.LockNotAvailableError:
                if attempt == 4:
                    raise
                await asyncio.sleep(0.01)
            else:
                return


async def with_recursion(conn: Any, step: Any, left: int = 5) -> None:
    try:
        async with conn.transaction():
            await conn.execute("set local lock_timeout = '0.5s'")
            await step(conn)
    except asyncpg.LockNotAvailableError:
        if left == 1:
            raise
        await asyncio.sleep(0.05)
        await with_recursion(conn, step, left - 1)


async def no_limit(conn: Any, step: Any) -> None:
    async with conn.transaction():
        await step(conn)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "queue"): no_limit,
    (4, "forever"): until_it_works,
    (4, "every error"): whatever_the_error,
    (4, "inside"): in_one_transaction,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "", in_the_session),
    (4, "", four_attempts),
    (4, None, by_savepoint),
    (4, None, with_recursion),
)
