"""The errors of lesson 11: one server connection, or another client before this one."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from ..raising import connect, raised_by


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    dsn = stack.pgbouncer.dsn("transaction")
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    maker, other, holder = [await asyncpg.connect(dsn) for _ in range(3)]
    raised: dict[str, BaseException] = {}
    await maker.execute(
        "create temp table basket (seat text); declare plan cursor with hold for select 1"
    )
    raised["temporary table of another client"] = await raised_by(
        other.execute("create temp table basket (seat text)")
    )
    await holder.execute("begin")
    raised["temporary table missing"] = await raised_by(maker.fetch("table basket"))
    raised["cursor missing"] = await raised_by(maker.fetch("fetch 1 from plan"))
    raised["setting in options through PgBouncer"] = await raised_by(
        connect(f"{dsn}?options=-c jit=off")
    )
    sale = await asyncpg.connect(stack.pgbouncer.dsn("statement"))
    raised["statement mode"] = await raised_by(sale.execute("begin"))
    await holder.execute("rollback")
    await console.execute("set query_wait_timeout = 1")
    await console.execute("set default_pool_size = 1")
    await console.execute("reconnect")
    await holder.execute("begin")
    raised["query_wait_timeout"] = await raised_by(other.fetchval("select 1"))
    with stack.postgres.paused():
        raised["query_wait_timeout at log-in"] = await raised_by(
            connect(stack.pgbouncer.dsn("session"))
        )
    await console.execute("set max_client_conn = 1")
    raised["max_client_conn"] = await raised_by(connect(dsn))
    return raised
