"""Options for a PgBouncer that keeps no statements: which of them asyncpg has, and which helps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ... import load, worker
from ...checking.examination import Examination
from ...expect import describe
from .kept_statements import pgbouncer

TITLE = "options for a PgBouncer that keeps no statements"

HINTS = (
    "Which object remembers `__asyncpg_stmt_1__`, and believes that it is still there?",
    "asyncpg.connect() has an argument for the number of statements that it keeps for each "
    "connection.",
    "With 0 it keeps none, and sends each query anew, without a name.",
)

TRAPS = {
    "not asyncpg's": "asyncpg.connect() has no argument of this name. Many copy "
    "prepared_statement_cache_size, which is SQLAlchemy's.",
    "not PostgreSQL's": "server_settings are PostgreSQL's, and this is none of them: PgBouncer "
    "refuses it, and so would PostgreSQL.",
    "cache that is there": "There is still a cache, a smaller or a shorter one. The second query "
    "comes soon, and finds its name in it.",
}

SEAT = "select label from seats where id = $1"
EMAIL = "select email from customers where id = $1"
PATIENCE = 20  # seconds for a connection or an answer
LATE = f"no answer within {PATIENCE} s"


async def check(exam: Examination) -> None:
    outcome = await exam.run(plain=True)
    options = outcome.value
    if not isinstance(options, dict):
        exam.criterion("a dictionary of options for asyncpg comes back", False, str(outcome))
        return
    async with pgbouncer(max_prepared_statements=0) as stack:
        dsn = stack.pgbouncer.dsn("transaction")
        outcome = await exam.call(_connect, dsn, options, limit=PATIENCE + 1)
        exam.criterion(
            "asyncpg connects with them",
            outcome.returned,
            "connected" if outcome.returned else str(outcome),
        )
        if isinstance(outcome.error, TypeError):
            exam.trap("not asyncpg's")
        elif "unsupported startup parameter" in str(outcome.error):
            exam.trap("not PostgreSQL's")
        if not outcome.returned:
            return

        other = await asyncpg.connect(dsn)
        async with _processes(dsn, options) as (box_office, web_shop):
            seen = [await _answer(box_office, f"await conn.fetchval({SEAT!r}, 1)")]
            await other.execute("begin")
            seen += [
                await _answer(web_shop, f"await conn.fetchval({EMAIL!r}, 1)"),
                await _answer(box_office, f"await conn.fetchval({SEAT!r}, 1)"),
            ]
            await other.execute("rollback")
        wanted = ["A1", "customer1@example.com", "A1"]
        exam.criterion(
            "two processes, each on the other's backend, get their own answers",
            seen == wanted,
            ", ".join(seen),
            timed=LATE in seen,
        )

        report = await load.run(_work, dsn=dsn, processes=2, tasks=3, times=40, **options)
        good = report.right == report.total == 240
        found = (
            f"{report.right} right, {report.wrong} wrong without an error, "
            f"{report.errors.total()} errors"
        )
        exam.criterion(
            "240 calls of two processes under load", good, "all are right" if good else found
        )
        if seen != wanted:
            exam.trap("cache that is there")


async def _connect(dsn: str, options: dict[str, Any]) -> None:
    conn = await asyncpg.connect(dsn, timeout=PATIENCE, **options)
    await conn.close()


@contextlib.asynccontextmanager
async def _processes(dsn: str, options: Any) -> AsyncIterator[list[worker.Worker]]:
    """Two, each with a connection `conn`."""
    processes = [await worker.start(dsn=dsn, options=options) for _ in range(2)]
    try:
        for process in processes:
            await process(
                "conn = await asyncpg.connect(dsn, timeout=20, command_timeout=10, **options)"
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            await process.stop()


async def _answer(process: worker.Worker, source: str) -> str:
    try:
        return str(await asyncio.wait_for(process(source), PATIENCE))
    except TimeoutError:
        return LATE
    except Exception as error:
        return describe(error).splitlines()[0]


async def _work(conn: Any, number: int) -> bool:
    return bool(
        await conn.fetchval(f"select {number % 7} + 1000 * $1::int", number)
        == number % 7 + 1000 * number
    )
