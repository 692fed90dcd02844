"""A database for each test: a copy of a template, which is gone when the test has ended."""

from __future__ import annotations

import asyncio

from ... import pytests
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from .bench import LIMIT, STATE, Bench, bench, changes, first, of, unexpected

TITLE = "a database for each test"

HINTS = (
    "What has the first test left for the second? And what has another process, that runs the "
    "same file now?",
    "create database … template encore_template, over ADMIN_URL, and a pool on it; all in a "
    "fixture of the test's own scope. The name has to be one that nobody else has at this moment.",
    'name = f"test_{uuid.uuid4().hex}"; DATABASE_URL with this name instead of encore; after the '
    "yield pool.terminate(), which does not wait, and drop database … with (force).",
)

TRAPS = {
    "the shop's own": "The tests have changed the shop's own database.",
    "wrong loop": "The pool lives in another event loop than the test that uses it.",
    "one connection": "There is one connection for all: what happens between two of them cannot "
    "be tested.",
    "one for all": "A test finds what another one has sold.",
    "one name": "Two runs at once, or a run after one that was killed: they have the same "
    "database.",
    "waits": "The fixture waits for a connection that nobody will ever give back.",
    "left over": "Each run leaves a database behind.",
}

DATABASES = """
    select count(*) from pg_database
    where datname not in ('postgres', 'template0', 'template1', 'encore', 'encore_template')"""
TOOK = 4.0  # seconds; the run with a leak needs less than one, and Pool.close() would never end
POOLS = "test_pools.py"
WANTED = ("test_one_of_two_gets_the_seat", "test_sells", "test_sells_once_more")


async def check(exam: Examination) -> None:
    async with bench(exam, "conftest.py", POOLS, "test_leaks.py", "test_hangs.py") as there:
        await there.admin.close()  # it would be connected to what is copied
        there.admin = await admin(there.stack, "postgres")
        await there.admin.execute("create database encore_template template encore")
        await there.admin.execute("alter database encore_template with allow_connections false")
        await _sell_on(there)
        before = await _shop(there)
        alone = await there.run(POOLS)
        left = await there.admin.fetchval(DATABASES)
        after = await _shop(there)
        both, leak, stood = [alone], alone, alone
        if not _wrong(alone):
            await _kill_a_run(there)
            standing = await _stands(there, "another")
            both = list(await asyncio.gather(there.run(POOLS), there.run(POOLS)))
            (there.folder / "another_on").touch()
            stood = await standing
            kept = await there.admin.fetchval(DATABASES)
            leak = await there.run("test_leaks.py", limit=TOOK)
            left = max(left, await there.admin.fetchval(DATABASES) - kept)
            after = await _shop(there)

    exam.criterion(
        "each test finds the shop as it was, with several connections",
        not _wrong(alone),
        _wrong(alone)[:160] or alone.total,
        timed="TimeoutError" in _wrong(alone),  # a second connection may be slow to come
    )
    ran = bool(of(alone, "PASSED", "FAILED"))
    if not _wrong(alone):
        wrong = next((found for run in both if (found := _wrong(run))), "")
        wrong = wrong or unexpected(stood, "test_stands")
        exam.criterion(
            "a run was killed; new ones at the same time, and one stands in the middle of a test",
            not wrong,
            wrong[:160] or both[0].total,
        )
        ended = not leak.ended and "1 passed" in leak.total
        exam.criterion(
            "a test that never gives its connection back does not hold up the run",
            ended,
            first(leak),
        )
    exam.criterion("no database of a finished run is left", not left, f"{left} left")
    exam.criterion("the shop's own database is as it was", after == before, changes(before, after))
    text = alone.output
    if after != before:
        exam.trap("the shop's own")
    elif _wrong(alone):
        if "different loop" in text or "ScopeMismatch" in text or "Event loop is closed" in text:
            exam.trap("wrong loop")
        elif first_test := [
            line for line in of(alone, "FAILED", "ERROR") if line.startswith("test_one_of_two")
        ]:
            # Not where it found another shop than the template's: nothing ran before it.
            if not any(seen in first_test[0] for seen in ("== 97", "UndefinedTable")):
                exam.trap("one connection")
        elif ran and any("test_sells" in name for name in of(alone, "FAILED", "ERROR")):
            exam.trap("one for all")
    elif any(_wrong(run) and not run.ended for run in both) or (
        unexpected(stood, "test_stands") and not stood.ended
    ):
        exam.trap("one name")
    elif leak.ended:
        exam.trap("waits")
    elif left:
        exam.trap("left over")


async def _stands(there: Bench, name: str) -> asyncio.Task[pytests.Run]:
    """A run in the middle of its test."""
    run = asyncio.create_task(there.run("test_hangs.py", limit=3 * LIMIT, STANDS=name))
    begun = there.folder / name
    await until(lambda: begun.exists() or run.done(), "its test has begun", LIMIT)
    return run


async def _kill_a_run(there: Bench) -> None:
    """In the middle of its test, so that its fixture never ends."""
    run = await _stands(there, "killed")
    run.cancel()
    await asyncio.wait({run})


async def _sell_on(there: Bench) -> None:
    """The shop's own database is not as the template any more."""
    look = await admin(there.stack)
    await look.execute("insert into orders (customer_id, total_cents, basket) values (2, 0, '{}')")
    await look.close()


async def _shop(there: Bench) -> dict[str, int]:
    look = await admin(there.stack)
    try:
        return dict(await look.fetchrow(STATE))
    finally:
        await look.close()


def _wrong(run: pytests.Run) -> str:
    return unexpected(run, *WANTED)
