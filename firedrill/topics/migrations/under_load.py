"""A migration while customers send requests and another transaction is open."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.server import Server
from .customers import OPEN, PATIENCE, Customers, Request

LIMIT = 10.0  # seconds for a migration


async def migrate(
    exam: Examination,
    postgres: Server,
    request: Request,
    query: str,
    whose: str,
    lock_timeout: str = "0",
) -> tuple[Outcome, bool]:
    """The learner's migration, with customers and `whose` transaction, which begins with `query`.

    `lock_timeout` is what its session has before. Gives what came of it, and whether customers
    waited behind it.
    """
    customers = Customers()
    await customers.start(postgres, request)
    conn = await asyncpg.connect(postgres.dsn())
    await conn.execute(f"set lock_timeout = '{lock_timeout}'")
    before = await _limits(conn)
    async with _transaction(postgres, query) as ended:
        outcome = await exam.run(conn, limit=LIMIT)
        went_on = await ended()
    is_usable = not conn.is_closed() and not conn.is_in_transaction()
    left = await _limits(conn) if is_usable else before
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
            "the connection has the limits that it had before",
            left == before,
            f"lock_timeout {before[0]}, statement_timeout {before[1]}"
            if left == before
            else f"lock_timeout was {before[0]} and is {left[0]}, "
            f"statement_timeout was {before[1]} and is {left[1]}",
        )
    if not went_on:
        exam.trap("killed")
    if isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted")
    return outcome, customers.longest >= PATIENCE and went_on


async def _limits(conn: Any) -> tuple[str, str]:
    return await conn.fetchval("show lock_timeout"), await conn.fetchval("show statement_timeout")


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
