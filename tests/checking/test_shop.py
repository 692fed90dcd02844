"""`open()`: a check that stands still where it fails, with all that it has opened by then."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from firedrill import servers, views
from firedrill.checking import shop
from firedrill.checking.connections import admin
from firedrill.checking.drill import Task
from firedrill.checking.examination import Examination
from firedrill.checking.shop import Shop
from firedrill.checking.waiting import until
from firedrill.servers import Unavailable
from firedrill.servers.cache import folder

from .tasks import task_of

LOCK = "begin; lock table seats in exclusive mode"


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def closing() -> None:
        try:
            await main()
        finally:
            await shop.close()

    asyncio.run(closing())


async def returns(*_: Any) -> str:
    return "well"


async def opened(task: Task, code: Callable[..., Any] = returns) -> Shop:
    report = await task.check(code)
    assert report.status in ("failed", "could not judge"), report  # of a busy machine
    return await task.open()


def test_it_stands_at_the_criterion_with_its_locks_and_its_customers() -> None:
    seen: list[str] = []
    requests = 0

    async def customer() -> None:
        nonlocal requests
        while True:
            await asyncio.sleep(0.001)
            requests += 1

    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            look = await admin(stack)
            await look.execute(LOCK)
            coming = asyncio.create_task(customer())
            exam.criterion("the first", True, "well")
            exam.criterion("the second", False, "wrong")
            try:
                await asyncio.sleep(0)
                seen.append("went on")
                exam.criterion("the third", False, "wrong, too")
            finally:
                coming.cancel()
                await look.execute("rollback")
                seen.append("cleaned up")

    async def main() -> None:
        found = await opened(task_of(check))
        assert seen == ["went on", "cleaned up"]  # by the check alone, the first time
        assert "✘  the second — wrong" in repr(found)
        assert found.stack.postgres.dsn() in repr(found)
        conn = await asyncpg.connect(found.stack.postgres.dsn())
        with pytest.raises(asyncpg.LockNotAvailableError):
            await conn.execute("set lock_timeout = '1ms'; update seats set status = status")
        await conn.close()
        before = requests
        assert await until(lambda: requests > before, "its customers go on")
        assert seen == ["went on", "cleaned up"]
        await found.close()
        assert seen == ["went on", "cleaned up", "cleaned up"]
        assert not found.stack.is_open
        assert "closed" in repr(found)

    run(main)


def test_it_stands_at_the_call_that_hangs_which_goes_on_waiting() -> None:
    calls: list[str] = []

    async def hangs(dsn: str, times: int = 1) -> None:
        conn = await asyncpg.connect(dsn, server_settings={"application_name": "theirs"})
        try:
            await conn.execute("begin")
            await asyncio.Event().wait()
        finally:
            calls.append("ended")
            conn.terminate()

    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            meant = await exam.run(stack.postgres.dsn(), limit=0.2)
            exam.criterion("it may hang here", True, str(meant))
            outcome = await exam.run(stack.postgres.dsn(), limit=0.5)
            exam.criterion("it returns", outcome.returned, str(outcome))

    async def main() -> None:
        found = await opened(task_of(check), hangs)
        assert calls == ["ended"] * 3  # two of the check, and the one that may hang
        assert "still running" in repr(found)
        rows = (await views.backends(found.stack.postgres)).rows
        states = [row["state"] for row in rows if row["application"] == "theirs"]
        assert states == ["idle in transaction"]
        await found.close()
        assert calls == ["ended"] * 4

    run(main)


def test_a_cancellation_of_the_checks_own_does_not_let_it_pass_by() -> None:
    async def check(exam: Examination) -> None:
        with servers.open():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await asyncio.Event().wait()
            exam.criterion("it", False, "does not")
            await asyncio.sleep(0)

    async def main() -> None:
        found = await opened(task_of(check))
        assert found.is_open
        assert "✘  it — does not" in repr(found)

    run(main)


def test_its_pools_end_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """Or asyncpg would go on to open their connections, and complain in the notebook."""
    pools: list[Any] = []

    async def opens_a_pool(dsn: str) -> None:
        pools.append(await asyncpg.create_pool(dsn, min_size=2, max_size=2))

    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            await exam.run(stack.postgres.dsn())
            exam.criterion("it", False, "does not")
            await asyncio.sleep(0)
            pools.pop().terminate()

    async def main() -> None:
        found = await opened(task_of(check), opens_a_pool)
        [pool] = pools
        assert await pool.fetchval("select 1") == 1
        await found.close()
        with pytest.raises(asyncpg.InterfaceError, match="closed"):
            await pool.fetchval("select 1")
        assert not caplog.text

    run(main)


def test_the_servers_stay_where_the_check_has_nothing_more_to_wait_for() -> None:
    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            look = await admin(stack)
            await look.execute("delete from payments")
            exam.criterion("it is the last thing", False, "that the check does")

    async def main() -> None:
        found = await opened(task_of(check))
        conn = await asyncpg.connect(found.stack.postgres.dsn())
        assert await conn.fetchval("select count(*) from payments") == 0
        await conn.close()
        await found.close()
        assert not found.stack.is_open

    run(main)


async def fails(exam: Examination) -> None:
    with servers.open():
        exam.criterion("it", False, "does not")


def test_the_next_check_and_the_next_shop_close_it() -> None:
    async def main() -> None:
        task = task_of(fails)
        first = await opened(task)
        second = await task.open()
        assert not first.is_open
        assert not first.stack.is_open
        assert second.stack.is_open
        await task_of(fails).check(returns)
        assert not second.is_open
        assert not second.stack.is_open

    run(main)


def test_the_event_loop_is_as_it_was_when_it_is_closed() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory(), loop.get_exception_handler(), asyncpg.protocol.Protocol
        found = await opened(task_of(fails))
        assert loop.get_task_factory() is not before[0]
        await found.close()
        after = loop.get_task_factory(), loop.get_exception_handler(), asyncpg.protocol.Protocol
        assert before == after

    run(main)


def test_a_stop_while_it_opens_closes_everything() -> None:
    stacks = []

    async def check(exam: Examination) -> None:
        with servers.open() as stack:
            stacks.append(stack)
            if len(stacks) == 2:
                await asyncio.Event().wait()
            exam.criterion("it", False, "does not")

    async def main() -> None:
        task = task_of(check)
        await task.check(returns)
        opening = asyncio.ensure_future(task.open())
        assert await until(lambda: len(stacks) == 2, "it waits", 30)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert not any(stack.is_open for stack in stacks)

    run(main)


def test_there_is_nothing_to_open_before_a_check_has_failed() -> None:
    async def passes(exam: Examination) -> None:
        exam.criterion("it", True, "does")

    async def main() -> None:
        task = task_of(passes)
        for _ in range(2):
            with pytest.raises(Unavailable, match="check"):
                await task.open()
            await task.check(returns)
        assert "write `await` before drill[1].open()" in repr(task.open())

    run(main)


def test_a_check_that_passes_the_second_time_says_so() -> None:
    times = 0

    async def check(exam: Examination) -> None:
        nonlocal times
        times += 1
        with servers.open():
            exam.criterion("it", times > 1, "does, the second time")

    async def main() -> None:
        found = await opened(task_of(check))
        assert "has passed this time" in repr(found)
        assert not found.stack.is_open

    run(main)


KILLED = """
import asyncio, os, signal
from tests.checking import test_shop as tests

async def main():
    found = await tests.opened(tests.task_of(tests.fails))
    print(found.stack.folder, flush=True)
    assert found.stack.is_open
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_a_killed_kernel_leaves_no_server_of_it() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    where = Path(done.stdout.strip())
    assert where.is_relative_to(folder().resolve())
    assert asyncio.run(until(lambda: not where.exists(), "its watchdog has ended them", 30))
