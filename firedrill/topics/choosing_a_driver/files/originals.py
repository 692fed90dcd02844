"""The functions that change their driver. The exercise shows them with inspect.getsource()."""

from __future__ import annotations

from typing import Any

import asyncpg
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


async def orders_with_psycopg(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    """`customer` and `since` are texts, as they come out of the URL."""
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(
        """
        select id, placed_at, basket, (total_cents / 100.0)::numeric(10, 2) as total
        from orders where customer_id = %s and placed_at >= %s order by id""",
        (customer, since),
    )
    rows: list[dict[str, Any]] = await cursor.fetchall()
    return rows


async def sell_with_psycopg(conn: Any, customer: int, event: int, seat: str) -> int | None:
    """The order's number; None if the seat is not free."""
    attempts = 3
    while True:
        attempts -= 1
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '500ms'")
                cursor = await conn.execute(
                    """
                    update seats set status = 'sold'
                    where event_id = %s and label = %s and status = 'free'
                    returning price_cents""",
                    (event, seat),
                )
                if not cursor.rowcount:
                    return None
                [price] = await cursor.fetchone()
                cursor = await conn.execute(
                    """
                    insert into orders (customer_id, total_cents, basket)
                    values (%s, %s, %s) returning id""",
                    (customer, price, Jsonb({"event": event, "seats": [seat]})),
                )
                [order] = await cursor.fetchone()
                try:
                    async with conn.transaction():
                        await conn.execute(
                            "insert into first_orders values (%s, %s)", (customer, order)
                        )
                except psycopg.errors.UniqueViolation:
                    pass  # it is not the customer's first
                return int(order)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            if not attempts:
                raise


async def import_with_asyncpg(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    """How many seats have another price now."""
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        async with conn.transaction():
            changed = 0
            for label, cents in prices:
                status = await conn.execute(
                    """
                    update seats set price_cents = $3
                    where event_id = $1 and label = $2 and price_cents <> $3""",
                    event,
                    label,
                    cents,
                )
                changed += int(status.split()[-1])
        return changed
    finally:
        await conn.close()
