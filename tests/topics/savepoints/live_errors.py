"""The errors of lesson 09: blocks within blocks, and what they leave behind."""

from __future__ import annotations

import contextlib

import asyncpg

from firedrill import servers

from ..raising import raised_by

VOID = "insert into payments (order_id, amount_cents, method) values (999999, 1, 'card')"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    admin = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
    await admin.execute("alter system set max_locks_per_transaction = 10")
    stack.postgres.restart()
    conn = await asyncpg.connect(stack.postgres.dsn())
    raised: dict[str, BaseException] = {}

    async with conn.transaction():
        raised["nested isolation level"] = await raised_by(
            conn.transaction(isolation="serializable").start()
        )
        nested = conn.transaction()
        await nested.start()
        raised["isolation level in a savepoint"] = await raised_by(
            conn.execute("set transaction isolation level serializable")
        )
        await nested.rollback()

    outer = conn.transaction()
    await outer.start()
    first, second = conn.transaction(), conn.transaction()
    await first.start()
    await second.start()
    await first.rollback()
    raised["savepoint does not exist"] = await raised_by(second.commit())
    await outer.rollback()

    async def bad_rows() -> None:
        async with conn.transaction():
            for _ in range(20_000):
                with contextlib.suppress(asyncpg.ForeignKeyViolationError):
                    async with conn.transaction():
                        await conn.execute(VOID)

    raised["out of shared memory"] = await raised_by(bad_rows())
    return raised
