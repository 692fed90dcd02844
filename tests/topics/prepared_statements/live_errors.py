"""The errors of lesson 10: two processes behind a PgBouncer that keeps no statements."""

from __future__ import annotations

import asyncpg

from firedrill import servers, worker

from ..raising import connect, raised_by


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.pgbouncer.dsn("transaction")
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    await console.execute("set max_prepared_statements = 0")
    first, second = [await worker.start(dsn=dsn) for _ in range(2)]
    for process in (first, second):
        await process("conn = await asyncpg.connect(dsn)")
    other = await asyncpg.connect(dsn)
    raised: dict[str, BaseException] = {}
    await first("await conn.fetchval('select $1::int', 1)")
    raised["statement already exists"] = await raised_by(second("await conn.fetchval('select 2')"))
    await other.execute("begin")
    raised["statement does not exist"] = await raised_by(
        first("await conn.fetchval('select $1::int', 1)")
    )
    await second("await conn.fetchval('select 1')")  # __asyncpg_stmt_2__ on the second backend
    await other.execute("rollback")
    await first("await conn.fetchval('select $1::int + 1', 1)")  # the same name on the first
    raised["arguments of another statement"] = await raised_by(
        second("await conn.fetchval('select 1')")
    )
    await second(
        "tuple(await conn.fetchrow('select 1, 2'))"
    )  # __asyncpg_stmt_3__ on the first backend
    await other.execute("begin")
    await first("await conn.fetchval('select 3')")  # the same name on the second
    await other.execute("rollback")
    raised["columns of another statement"] = await raised_by(
        first("await conn.fetchval('select 3')")
    )
    for process in (first, second):
        await process.stop()
    await console.execute("set max_prepared_statements = 200")
    conn = await asyncpg.connect(dsn)
    await conn.fetchval("select 1")
    await conn.execute("deallocate all")
    raised["statement did not exist"] = await raised_by(conn.fetchval("select 1"))
    raised["argument of SQLAlchemy's"] = await raised_by(_with_sqlalchemys_argument(dsn))
    raised["statement_cache_mode"] = await raised_by(
        connect(dsn, server_settings={"statement_cache_mode": "off"})
    )
    return raised


async def _with_sqlalchemys_argument(dsn: str) -> object:
    return await asyncpg.connect(dsn, prepared_statement_cache_size=0)
