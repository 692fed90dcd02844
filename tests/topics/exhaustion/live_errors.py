"""The errors of lesson 03: every slot is taken, in all the ways in which PostgreSQL says so."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from ..raising import connect, raised_by


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn, superuser = stack.postgres.dsn(), stack.postgres.dsn(user="postgres")
    raised: dict[str, BaseException] = {}
    admin = await asyncpg.connect(superuser)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool, pool.acquire():
        raised["acquire timed out"] = await raised_by(pool.acquire(timeout=0.05))
    await admin.execute("alter role encore connection limit 0")
    raised["too many connections for role"] = await raised_by(connect(dsn))
    await admin.execute(
        "alter role encore connection limit -1; alter database encore connection limit 0"
    )
    raised["too many connections for database"] = await raised_by(connect(dsn))
    await admin.execute("alter database encore connection limit -1")
    await admin.execute("alter system set max_connections = 12")
    await admin.execute("alter system set reserved_connections = 4")
    await admin.close()
    stack.postgres.restart()
    # Whoever is refused has a slot for a moment longer, so each text is asked for with slots to spare.
    held = [await asyncpg.connect(dsn) for _ in range(5)]
    raised["slots reserved for a role"] = await raised_by(connect(dsn))
    held += [await asyncpg.connect(superuser) for _ in range(4)]
    raised["slots reserved for superusers"] = await raised_by(connect(dsn))

    async def everything() -> None:
        while True:
            held.append(await asyncpg.connect(superuser))

    raised["too many clients"] = await raised_by(everything())
    for one in held:
        one.terminate()
    return raised
