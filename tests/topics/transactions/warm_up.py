"""Wrong and right answers to the warm-up of exercise 08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

UPDATE = "update seats set status = 'sold' where id = $1"
INSERT = "insert into orders (customer_id, total_cents, basket) values ($1, 7300, '{}')"


async def log_the_error(conn: Any, seat_id: int, customer_id: int) -> None:
    try:
        async with conn.transaction():
            await conn.execute(UPDATE, seat_id)
            await conn.execute(INSERT, customer_id)
    except asyncpg.PostgresError as error:
        print(error)


async def begin_and_commit(conn: Any, seat_id: int, customer_id: int) -> None:
    await conn.execute("begin")
    try:
        await conn.execute(UPDATE, seat_id)
        await conn.execute(INSERT, customer_id)
    except BaseException:
        await conn.execute("rollback")
        raise
    await conn.execute("commit")


async def undo_it(conn: Any, seat_id: int, customer_id: int) -> None:
    await conn.execute(UPDATE, seat_id)
    try:
        await conn.execute(INSERT, customer_id)
    except asyncpg.PostgresError:
        await conn.execute("update seats set status = 'free' where id = $1", seat_id + 1)
        raise


async def one_statement(conn: Any, seat_id: int, customer_id: int) -> None:
    await conn.execute(
        """with seat as (update seats set status = 'sold' where id = $2 returning id)
           insert into orders (customer_id, total_cents, basket)
           select $1, 7300, '{}' from seat""",
        customer_id,
        seat_id,
    )


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "swallowed"): log_the_error,
    (0, "by hand"): begin_and_commit,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", undo_it),
    (0, None, one_statement),
)
