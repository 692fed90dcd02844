"""The load generator and the second process count what happens, and end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from firedrill import load, servers, worker
from firedrill.servers import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with servers.open("embedded") as stack:
        yield stack


async def right(conn: Any, number: int) -> bool:
    return bool(await conn.fetchval("select $1::int", number) == number)


async def now_and_then(conn: Any, number: int) -> bool:
    if number % 4 == 0:
        await conn.fetchval("select 1 / 0")
    return bool(number % 4 != 1)


def test_answers_errors_and_wrong_answers_are_counted(stack: Stack) -> None:
    report = asyncio.run(
        load.run(now_and_then, dsn=stack.postgres.dsn(), processes=2, tasks=2, times=10)
    )
    assert (report.total, report.right, report.wrong) == (40, 20, 10)
    assert report.errors == {"asyncpg.DivisionByZeroError": 10}
    assert len(report.latencies) == 40
    assert (
        0
        < report.percentile(50)
        <= report.percentile(95)
        <= report.percentile(100)
        == max(report.latencies)
    )
    assert report.per_second > 0
    assert "40 calls: 20 right, 10 wrong, 10 errors" in repr(report)


@pytest.mark.parametrize("turn", range(3))
def test_more_clients_than_session_mode_has_servers_come_to_an_end(stack: Stack, turn: int) -> None:
    dsn = stack.pgbouncer.dsn("session")
    report = asyncio.run(
        asyncio.wait_for(load.run(right, dsn=dsn, processes=2, tasks=6, times=20), 30)
    )
    assert report.right == report.total == 240


def test_a_worker_gives_values_and_exceptions_and_ends_with_its_notebook(stack: Stack) -> None:
    async def main() -> None:
        one = await worker.start(dsn=stack.postgres.dsn())
        assert await one("x = 20\nx + 1") == 21
        assert await one("print('to stderr')\nx") == 20
        with pytest.raises(asyncpg.UndefinedTableError, match='"nix"'):
            await one("await (await asyncpg.connect(dsn)).fetchval('table nix')")
        with pytest.raises(SyntaxError):
            await one("def")
        with pytest.raises(TypeError, match="pickle"):
            await one("await (await asyncpg.connect(dsn)).fetchrow('select 1')")
        assert await one("x") == 20, "it goes on afterwards"
        process = one._process
        await one.stop()
        assert process.returncode == 0

        left = await worker.start()
        left._process.stdin.close()  # type: ignore[union-attr]      # as it is when the notebook has gone
        assert await asyncio.wait_for(left._process.wait(), 10) == 0

    asyncio.run(main())
