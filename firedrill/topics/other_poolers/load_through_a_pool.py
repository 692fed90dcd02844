"""A load through PgBouncer 1.26 that leaves the pool to the others."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.stack import Stack

TITLE = "a load that leaves the pool to the others"

HINTS = (
    'Lesson 18, "COPY takes a server connection": until when does it stay with its client?',
    "Either no COPY, or no client that stays connected after it. The pool that you are given "
    "belongs to others as well.",
    "One INSERT … SELECT … FROM unnest($1::int[], $2::text[]) over the pool; or a connection that "
    "is closed in `finally`.",
)

TRAPS = {
    "kept": "After a load PgBouncer's only server connection stayed with the loader, and nobody "
    "else was served.",
    "part": "The load failed, and a part of its rows is there.",
}

LOADS = 60  # one COPY of three keeps its connection, on PgBouncer 1.26.1
ROWS = [(number, f"A{number}") for number in range(5)]


async def check(exam: Examination) -> None:
    with servers.open(postgres="18", pgbouncer="1.26") as stack:
        look = await admin(stack)
        await look.execute("create table tickets (id int, label text not null)")
        await look.execute("grant all on tickets to encore")
        await _one_server(stack)
        dsn = stack.pgbouncer.dsn("transaction")
        pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
        customer = await asyncpg.connect(dsn)
        try:
            await _load(exam, look, pool, customer)
        finally:
            pool.terminate()
            customer.terminate()


async def _load(exam: Examination, look: Any, pool: Any, customer: Any) -> None:
    loads, served, outcome = 0, True, None
    while served and loads < LOADS:
        outcome = await exam.run(pool, ROWS)
        loads += 1
        if not outcome.returned:
            break
        served = await _is_served(customer)
    stored = await look.fetchval("select count(*) from tickets")
    exam.criterion(
        "60 loads of five rows, one after the other: all rows are stored",
        loads == LOADS and stored == LOADS * len(ROWS),
        "all are" if stored == LOADS * len(ROWS) else f"{stored}; {outcome}",
    )
    exam.criterion(
        "and after each of them, another client is served over the one server connection",
        served,
        "it is" if served else "it waits",
        timed=True,
    )
    if not served:
        exam.trap("kept")
        return
    failed = await exam.run(pool, [(1, "B1"), (2, None)])
    told = isinstance(failed.error, asyncpg.NotNullViolationError)
    part = await look.fetchval("select count(*) from tickets") - stored
    exam.criterion(
        "a row without a label: NotNullViolationError, and none of its load is stored",
        told and part == 0,
        f"{part} stored, {'the error' if told else failed}",
    )
    if told and part:
        exam.trap("part")


async def _is_served(customer: Any) -> bool:
    asking = asyncio.ensure_future(customer.fetchval("select 1"))
    await until(asking.done, "another client is served", 3)
    if not asking.done():
        asking.cancel()
        await asyncio.wait({asking})
        return False
    return asking.exception() is None


async def _one_server(stack: Stack) -> None:
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    await console.execute("set default_pool_size = 1")
    await console.execute("reconnect")
    await console.close()
