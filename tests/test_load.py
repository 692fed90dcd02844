"""The load generator and the second process count what happens, and end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import asyncpg
import psutil
import pytest

from firedrill import load, servers, worker
from firedrill.servers import Stack

from .leftovers import eventually


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
        await one.stop()
        assert one._fork.exit_code == 0, "it has ended by itself"

    asyncio.run(main())


def test_a_worker_ends_with_its_notebook() -> None:
    code = """
import asyncio, os, signal
from firedrill import worker

async def main():
    one = await worker.start()
    print(await one("import os; os.getpid()"), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    notebook = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=60)
    assert notebook.returncode == -signal.SIGKILL
    pid = int(notebook.stdout)
    assert eventually(lambda: not psutil.pid_exists(pid), 10)


def test_a_worker_that_does_not_answer_is_ended_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        one = await worker.start("json")
        monkeypatch.setattr(worker, "LIMIT", 0.2)
        with pytest.raises(TimeoutError, match=r"within 0.2 s, and was ended.*sleep\(600\)"):
            await one("import time; time.sleep(600)")
        assert one._fork.exit_code == -signal.SIGKILL

    asyncio.run(main())


def test_workers_know_nothing_of_each_other_and_print_where_their_notebook_does(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def main() -> None:
        first, second = [await worker.start() for _ in range(2)]
        await first("import builtins; builtins.told = 1; print('from the first')")
        with pytest.raises(NameError):
            await second("told")
        draws = {await one("import random; random.random()") for one in (first, second)}
        assert len(draws) == 2, "two processes, two seeds"
        for one in (first, second):
            await one.stop()

    asyncio.run(main())
    assert "from the first" in capfd.readouterr().err
