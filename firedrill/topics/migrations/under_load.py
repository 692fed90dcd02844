"""A migration while customers send requests and somebody's transaction is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.server import Server
from .customers import OPEN, PATIENCE, Customers, Request

LIMIT = 10.0  # seconds for a migration


async def migrate(
    exam: Examination, postgres: Server, request: Request, query: str, whose: str
) -> tuple[Outcome, bool]:
    """The learner's migration, with customers and `whose` transaction, which begins with `query`.

    Gives what came of it, and whether customers stood in line.
    """
    customers = Customers()
    await customers.start(postgres, request)
    conn = await asyncpg.connect(postgres.dsn())
    async with _transaction(postgres, query) as ended:
        outcome = await exam.run(conn, limit=LIMIT)
        went_on = await ended()
    left = (
        None
        if conn.is_closed() or conn.is_in_transaction()
        else await conn.fetchval("show lock_timeout")
    )
    await customers.more(20)
    await customers.end()
    exam.criterion(
        "the migration came to its end",
        outcome.returned,
        "without an error" if outcome.returned else str(outcome),
    )
    customers.describe(exam)
    customers.describe_time(exam)
    exam.criterion(
        f"{whose} came to its end", went_on, "undisturbed" if went_on else "somebody ended it"
    )
    if outcome.returned:
        exam.criterion(
            "the connection is as it was: no lock_timeout is left on it",
            left in (None, "0"),
            f"lock_timeout is {left}",
        )
    if not went_on:
        exam.trap("killed")
    if isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted")
    return outcome, customers.longest >= PATIENCE and went_on


@contextlib.asynccontextmanager
async def _transaction(
    postgres: Server, query: str
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """It stays open for OPEN seconds.

    Gives a function that waits for its end: whether it was let go on.
    """
    conn = await asyncpg.connect(postgres.dsn())
    await conn.execute(f"begin isolation level repeatable read; {query}")

    async def work() -> bool:
        await asyncio.sleep(OPEN)
        try:
            await conn.execute("commit")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return True

    task = asyncio.create_task(work())

    async def ended() -> bool:
        return await task

    try:
        yield ended
    finally:
        await asyncio.wait({task})
        conn.terminate()
