"""What a check counts of the learner's code, against what crosses a real wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from firedrill import servers, wire
from firedrill.checking.sandbox import Sandbox
from firedrill.checking.traffic import KEPT, Figures, Traffic

TRIPS, OPENED, WAITS, ROWS = (
    "round trips",
    "connections opened",
    "waits for a pool's connection",
    "rows received",
)


@pytest.fixture(scope="module")
def stack() -> Iterator[servers.Stack]:
    with servers.open() as stack:
        yield stack


async def opens_one(conn: Any, dsn: str) -> None:
    other = await asyncpg.connect(dsn)
    await other.fetch("select id from seats limit 7")
    await other.close()


async def transaction(conn: Any, dsn: str) -> None:
    async with conn.transaction():
        await conn.executemany("select $1::int", [(one,) for one in range(500)])
        await conn.execute("select 1; select 2")


async def copies(conn: Any, dsn: str) -> None:
    await conn.execute("create temp table copied (n int)")
    await conn.copy_records_to_table("copied", records=[(n,) for n in range(50_000)])
    await conn.fetch("select n from copied")


async def fails(conn: Any, dsn: str) -> None:
    for query in ("select 1 / 0", "select * from nothing"):
        try:
            await conn.fetch(query)
        except asyncpg.PostgresError:
            continue


async def at_once(conn: Any, dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await asyncio.gather(*(pool.fetchval("select pg_sleep(0.05)") for _ in range(6)))


@pytest.mark.parametrize(
    ("code", "opened", "waits", "rows"),
    [
        pytest.param(opens_one, 1, 0, 7, id="opens_one"),
        pytest.param(transaction, 0, 0, 502, id="transaction"),
        pytest.param(copies, 0, 0, 50_000, id="copies"),
        pytest.param(fails, 0, 0, 0, id="fails"),
        pytest.param(at_once, 2, 4, 6 + 6, id="at_once"),  # the reset at a release has a row
    ],
)
def test_it_counts_what_the_wire_does(
    stack: servers.Stack, code: Callable[..., Awaitable[None]], opened: int, waits: int, rows: int
) -> None:
    async def main() -> tuple[Figures, int]:
        with wire.tap(stack, in_front_of="postgres") as tap:
            with Traffic() as traffic, Sandbox() as sandbox:
                conn = await asyncpg.connect(tap.dsn())
                await conn.fetch("select 'asked by the check'")
                tap.clear()
                outcome = await sandbox.run(code, conn, tap.dsn(), limit=20)
                assert outcome.returned, outcome
                trips = tap.round_trips()
                await conn.fetch("select 'asked by the check'")
            await conn.fetch("select 'after the check'")
            await conn.close()
            return traffic.figures, trips

    figures, trips = asyncio.run(main())
    assert figures == {TRIPS: trips, OPENED: opened, WAITS: waits, ROWS: rows}
    assert trips > 0


def test_asyncpg_is_as_it_was_after_the_check() -> None:
    before = asyncpg.protocol.Protocol
    with contextlib.suppress(ZeroDivisionError), Traffic():
        assert asyncpg.protocol.Protocol is not before
        raise ZeroDivisionError
    assert asyncpg.protocol.Protocol is before


def test_the_record_takes_no_memory_beyond_its_bound(stack: servers.Stack) -> None:
    async def main() -> Traffic:
        with Traffic() as traffic, Sandbox() as sandbox:
            conn = await asyncpg.connect(stack.postgres.dsn())
            query = "select repeat('x', 1000) from generate_series(1, 5000)"
            outcome = await sandbox.run(conn.fetch, query, limit=20)
            await conn.close()
        assert len(outcome.value) == 5000
        return traffic

    traffic = asyncio.run(main())
    assert traffic.lost
    assert sum(len(data) for _, _, data in traffic.kept) <= KEPT
    assert traffic.figures[ROWS] == 5000
