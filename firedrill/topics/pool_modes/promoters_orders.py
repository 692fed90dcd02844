"""Orders of one promoter: a setting that has to be on the query's backend, and on no other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.server import SUPERUSER
from .moving import Moved

TITLE = "orders of one promoter"

HINTS = (
    "Print `select pg_backend_pid()` before and after, while other clients are at work.",
    "The setting has to be on the same backend as the query, and has to end before another client "
    "gets that backend.",
    "SET has a form that ends with the transaction, and set_config() has a third argument for it. "
    "Both need a transaction that holds the query, too.",
)

TRAPS = {
    "afterwards": "The setting went to one backend, the query to a second, and what should clean "
    "up to a third. The first is still set.",
    "kept": "The counts are right, and the backend keeps the setting after COMMIT. The shop gets "
    "it next.",
    "nowhere": "The shop's orders were counted, and no backend kept a setting: it ended before the "
    "query began. A statement outside a transaction is a whole transaction.",
}

PROMOTERS = {"arena": 3, "cellar": 5, "loft": 0}
OF_THE_SHOP = "select count(*) from public.orders"
MOVES = 8


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        await _open_for_promoters(stack)
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute(f"set default_pool_size = {MOVES * 2}")
        dsn = stack.pgbouncer.dsn("transaction")
        others = [await asyncpg.connect(dsn) for _ in range(MOVES)]
        for promoter, expected in PROMOTERS.items():
            conn = await asyncpg.connect(dsn)
            outcome = await exam.run(conn, promoter, limit=4)
            exam.criterion(
                f"{promoter}, without other clients",
                outcome.value == expected,
                _said(outcome, expected),
            )
            if not outcome.returned:
                return
            await console.execute("reconnect")
        of_the_shop = await others[0].fetchval(OF_THE_SHOP)
        counts, values = [], []
        for promoter, expected in PROMOTERS.items():
            conn = await asyncpg.connect(dsn, connection_class=Moved)
            conn.others, conn.taken = [*others], []
            outcome = await exam.run(conn, promoter, limit=4)
            conn.others = []
            counts.append(outcome.value == expected)
            values.append(outcome.value)
            exam.criterion(
                f"{promoter}, other clients come in between", counts[-1], _said(outcome, expected)
            )
            for other in conn.taken:
                await other.execute("rollback")
        async with contextlib.AsyncExitStack() as held:
            paths = [await _search_path(held, other) for other in others]
        dirty = any(path != '"$user", public' for path in paths)
        exam.criterion(
            "the shop, afterwards: its own orders on every backend",
            not dirty,
            "its search_path is left changed, on some" if dirty else "its own",
        )
        if all(counts) and dirty:
            exam.trap("kept")
        elif not all(counts) and dirty:
            exam.trap("afterwards")
        elif of_the_shop in values:
            exam.trap("nowhere")


async def _open_for_promoters(stack: servers.Stack) -> None:
    look = await admin(stack)
    for promoter, orders in PROMOTERS.items():
        await look.execute(f"""
            create schema {promoter} authorization encore;
            set role encore;
            create table {promoter}.orders as
                select * from public.orders order by id limit {orders};
            reset role""")
    await look.close()


async def _search_path(held: contextlib.AsyncExitStack, other: Any) -> str:
    """Of a backend that no other of them has."""
    await held.enter_async_context(_transaction(other))
    path: str = await other.fetchval("show search_path")
    return path


@contextlib.asynccontextmanager
async def _transaction(conn: Any) -> AsyncIterator[None]:
    await conn.execute("begin")
    try:
        yield
    finally:
        await conn.execute("rollback")


def _said(outcome: Outcome, expected: int) -> str:
    if not outcome.returned:
        return str(outcome)
    return "its own orders" if outcome.value == expected else "not its own orders"
