"""The errors of lesson 12: tables that change while somebody has prepared statements, and indexes beside others' work."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from ..raising import raised_by


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    admin, conn = [await asyncpg.connect(stack.postgres.dsn()) for _ in range(2)]
    raised: dict[str, BaseException] = {}
    whole_rows, all_columns = "select event from events event", "select * from events"
    await conn.fetch(whole_rows)
    await conn.fetch(all_columns)
    await admin.execute("alter table events add column rating int")
    async with conn.transaction():
        raised["composite type changed"] = await raised_by(conn.fetch(whole_rows))
    await conn.fetch(all_columns)
    await admin.execute("alter table events add column wheelchairs int")
    transaction = conn.transaction()
    await transaction.start()
    raised["cached statement invalid"] = await raised_by(conn.fetch(all_columns))
    await transaction.rollback()
    raised["concurrently in a transaction"] = await raised_by(
        conn.execute("select 1; create index concurrently on orders (placed_at)")
    )
    raised["could not create unique index"] = await raised_by(
        conn.execute("create unique index concurrently orders_once on orders (customer_id)")
    )
    raised["column of relation does not exist"] = await raised_by(
        conn.execute("update customers set full_name = name")
    )
    return raised
