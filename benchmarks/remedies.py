"""Lesson 10's remedies: asyncpg's `fetchval` of a seat by its id, on one warm connection of each
way, to one embedded pair. In each round each way makes 300 calls, in a new random
order; one uncounted round comes first. Each way is compared with asyncpg as it is behind
PgBouncer 1.24 as it is (`max_prepared_statements = 200`, transaction mode). The rows below count
answers under the lesson's load, 2 processes x 4 connections x 100 calls, before and after each
remedy.
"""

from __future__ import annotations

import asyncio
import random
import time
from statistics import median
from typing import Any

import asyncpg

from firedrill import load, servers
from firedrill.servers import Stack
from firedrill.servers.server import SUPERUSER

from .row import Row

ROUNDS, CALLS = 12, 300
QUERY = "select label from seats where id = $1"


def rows() -> list[Row]:
    with servers.open("embedded") as stack:
        transaction, session = stack.pgbouncer.dsn("transaction"), stack.pgbouncer.dsn("session")
        found = asyncio.run(
            _latencies(
                {
                    "as it is": (transaction, {}),
                    "`statement_cache_size=0`": (transaction, {"statement_cache_size": 0}),
                    "session mode": (session, {}),
                    "no PgBouncer": (stack.postgres.dsn(), {}),
                }
            )
        )
        usual = found.pop("as it is")
        latencies = [
            Row(
                f"a query, {way}",
                _microseconds(own),
                "`max_prepared_statements = 200`",
                _microseconds(usual),
                f"{median(own) / median(usual):.2f}x",
            )
            for way, own in found.items()
        ]
        return latencies + asyncio.run(_answers(stack))


async def _latencies(ways: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, list[float]]:
    """For each round the median, in seconds."""
    connections = {
        name: await asyncpg.connect(dsn, **options) for name, (dsn, options) in ways.items()
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(CALLS):
            for name in random.sample(list(ways), len(ways)):
                before = time.perf_counter()
                await connections[name].fetchval(QUERY, 1)
                taken[name].append(time.perf_counter() - before)
        if number:
            for name, values in taken.items():
                found[name].append(median(values))
    for connection in connections.values():
        await connection.close()
    return found


async def _answers(stack: Stack) -> list[Row]:
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
    made = []
    for what, kept, database, options in (
        ("no remedy", 0, "transaction", {}),
        ("`statement_cache_size=0`", 0, "transaction", {"statement_cache_size": 0}),
        ("`max_prepared_statements = 200`", 200, "transaction", {}),
        ("session mode", 0, "session", {}),
    ):
        await console.execute(f"set max_prepared_statements = {kept}")
        await console.execute("reconnect")
        tasks = 2 if database == "session" else 4  # the pool has five server connections
        report = await load.run(
            _work, dsn=stack.pgbouncer.dsn(database), processes=2, tasks=tasks, times=100, **options
        )
        errors = report.errors.total()
        counts = f"{report.right} of {report.total} right, {report.wrong} wrong, {errors} errors"
        if what == "no remedy":
            made.append(Row(f"answers under load, {what}", counts))
        else:
            made.append(
                Row(
                    f"answers under load, {what}",
                    counts,
                    target="all right",
                    reached=report.right == report.total,
                )
            )
    await console.close()
    return made


async def _work(conn: Any, number: int) -> bool:
    value = await conn.fetchval(f"select {number % 7} + 1000 * $1::int", number)
    return bool(value == number % 7 + 1000 * number)


def _microseconds(values: list[float]) -> str:
    return f"{median(values) * 1e6:.0f} µs ({max(values) * 1e6:.0f} µs)"
