"""Wrong and right answers to the warm-up of exercise 16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


async def commit_the_good_ones(conn: Any, test: Any) -> None:
    async with conn.transaction():
        await test(conn)


async def no_error_at_all(conn: Any, test: Any) -> None:
    transaction = conn.transaction()
    await transaction.start()
    try:
        await test(conn)
    except Exception as error:
        print(error)
    await transaction.rollback()


async def only_after_good_ones(conn: Any, test: Any) -> None:
    transaction = conn.transaction()
    await transaction.start()
    await test(conn)
    await transaction.rollback()


async def by_hand(conn: Any, test: Any) -> None:
    await conn.execute("begin")
    try:
        await test(conn)
    finally:
        await conn.execute("rollback")


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "stored"): commit_the_good_ones,
    (0, "hidden"): no_error_at_all,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", only_after_good_ones),
    (0, None, by_hand),
)
