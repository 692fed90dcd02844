"""Exercise 16: a fixture that leaves nothing, tests that find bugs in any order, and a database for each test.

The learner's file is run by real pytest, beside files of the check's own, in a folder and on servers of the check's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from ... import pytests, servers
from ...servers.server import ROLE, SUPERUSER
from ...servers.stack import Stack
from ...checking.examination import Examination

NAME = "16_testing"
LIMIT = 15.0  # seconds that a run may take; a good one takes less than one
INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
WHAT = ("customers", "events", "seats", "orders", "payments")
STATE = (
    "select "
    + ", ".join(f"(select count(*) from {name}) as {name}" for name in WHAT)
    + (", (select count(*) from seats where status = 'sold') as sold")
)
DATABASES = """
    select count(*) from pg_database
    where datname not in ('postgres', 'template0', 'template1', 'encore', 'encore_template')"""

# The shop as the exercise shows it, and what may be wrong with it: tests are run with one BUG after another.
SHOP = '''
BUG = ""


async def sell(conn, event, label, customer):
    async with conn.transaction():
        seat = await conn.fetchrow(f"""
            update seats set status = '{"free" if BUG == "seat_stays_free" else "sold"}'
            where event_id = $1 and label = $2 {"" if BUG == "sold_twice" else "and status = 'free'"}
            returning price_cents""", event, label)
        if seat is None:
            raise (ValueError if BUG == "another_error" else LookupError)(f"{label} is not free")
        price = seat["price_cents"] + (100 if BUG == "wrong_price" else 0)
        order = await conn.fetchval("""
            insert into orders (customer_id, total_cents, basket)
            values ($1, $2, jsonb_build_object('event', $3::int, 'seats', jsonb_build_array($4::text)))
            returning id""", customer + (BUG == "wrong_customer"), price, event, label)
        if BUG != "no_payment":
            await conn.execute("""
                insert into payments (order_id, amount_cents, method) values ($1, $2, $3)""", order,
                price - (BUG == "wrong_amount"), "voucher" if BUG == "wrong_method" else "card")
        return order


async def refund(conn, order):
    async with conn.transaction():
        if BUG != "refund_keeps_the_seat":
            await conn.execute("""
                update seats set status = 'free' from orders o
                where o.id = $1 and event_id = (basket ->> 'event')::int and basket -> 'seats' ? label""", order)
        if BUG == "refund_keeps_the_order":
            return
        await conn.execute("delete from payments where order_id = $1", order)
        await conn.execute("delete from orders where id = $1", order)
'''
BUGS = (
    "seat_stays_free",
    "sold_twice",
    "wrong_price",
    "no_payment",
    "wrong_amount",
    "wrong_method",
    "wrong_customer",
    "another_error",
    "refund_keeps_the_seat",
    "refund_keeps_the_order",
)


@dataclass
class Bench:
    """A folder with the learner's file, and servers."""

    stack: Stack
    folder: Path
    admin: Any
    pytest: pytests.Pytest

    async def run(self, *arguments: str, limit: float = LIMIT, **variables: str) -> pytests.Run:
        return await self.pytest(*arguments, limit=limit, **variables)

    async def state(self) -> dict[str, int]:
        return dict(await self.admin.fetchrow(STATE))


@contextlib.asynccontextmanager
async def _bench(exam: Examination, name: str, **files: str) -> AsyncIterator[Bench]:
    """The learner's file is `name`; `files` are the check's own, without their ending."""
    assert exam.file
    with tempfile.TemporaryDirectory(prefix="firedrill-tests-") as made, servers.open() as stack:
        folder = Path(made).resolve()
        (folder / "pytest.ini").write_text(INI)
        for module, source in {"shop": SHOP, **files}.items():
            (folder / f"{module}.py").write_text(source)
        shutil.copyfile(exam.file, folder / name)
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        pytest = pytests.Pytest(
            folder,
            DATABASE_URL=stack.postgres.dsn(),
            PGBOUNCER_URL=stack.pgbouncer.dsn("transaction"),
            ADMIN_URL=stack.postgres.dsn("postgres", user=SUPERUSER),
        )
        try:
            yield Bench(stack, folder, admin, pytest)
        finally:
            admin.terminate()


def _of(run: pytests.Run, *outcomes: str) -> list[str]:
    """The names of the tests with these outcomes, without file; and the reason where there is one."""
    return [
        line.partition(" ")[2].partition("::")[2] or line.partition(" ")[2]
        for line in run.lines
        if line.startswith(outcomes)
    ]


def _first(run: pytests.Run) -> str:
    """What a run shows that has not gone well, in a line."""
    bad = _of(run, "FAILED", "ERROR")
    return (
        (bad[0][:160] if bad else run.ended or run.total.strip().splitlines()[-1][:160])
        if run.status
        else run.total
    )


def _changes(before: dict[str, int], after: dict[str, int]) -> str:
    parts = [
        f"{after[name] - before[name]:+} {name}" for name in before if after[name] != before[name]
    ]
    return ", ".join(parts) or "nothing"


# Task 1: nothing stays

GIVEN = """
import asyncpg
import pytest
import shop

pytestmark = pytest.mark.asyncio


async def note(conn, name):
    # Through PgBouncer, the number that the client is told is not that of a backend.
    direct = conn.get_server_pid() == await conn.fetchval("select pg_backend_pid()")
    with open("ways", "a") as file:
        print(name, "direct" if direct else "pgbouncer", file=file)


async def test_sells(conn):
    await note(conn, "sells")
    assert await shop.sell(conn, 5, "A1", 1)


async def test_fails(conn):
    await note(conn, "fails")
    assert await shop.sell(conn, 5, "A1", 1)
    raise ValueError("this test is meant to fail")


async def test_sells_again(conn):
    await note(conn, "sells_again")
    assert await shop.sell(conn, 5, "A1", 1)
    with pytest.raises(LookupError):
        await shop.sell(conn, 5, "A1", 1)


async def test_sql_error(conn):
    await note(conn, "sql_error")
    await shop.sell(conn, 5, "A1", 1)
    with pytest.raises(asyncpg.UndefinedTableError):
        await conn.execute("select * from nope")


async def test_counts(conn):
    assert await conn.fetchval("select count(*) from seats where status = 'sold' and event_id = 5") == 0
"""
COMMITS = """
import asyncpg
import pytest
import shop

seen = []


@pytest.mark.asyncio
async def test_commits(conn):
    seen.append(conn)
    label = await conn.fetchval("select min(label) from seats where event_id = 5 and status = 'free'")
    await conn.execute("begin")
    await shop.sell(conn, 5, label, 1)
    await conn.execute("commit")


@pytest.mark.asyncio
async def test_commits_a_name(conn):
    seen.append(conn)
    await conn.execute("begin")
    await conn.execute("update customers set name = 'Somebody' where id = 2")
    await conn.execute("commit")


def _is_closed(conn):
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:      # given back to its pool
        return True


def test_closed():
    assert all(_is_closed(conn) for conn in seen)
"""
ORDERLY = ("sells", "sells_again", "sql_error", "counts")


async def _nothing_stays(exam: Examination) -> None:
    async with _bench(exam, "conftest.py", test_given=GIVEN, test_commits=COMMITS) as bench:
        before = await bench.state()
        backwards = [
            f"test_given.py::test_{name}"
            for name in ("counts", "sql_error", "sells_again", "fails", "sells")
        ]
        first = await bench.run("test_given.py", "-W", "default::ResourceWarning")
        between = await bench.state()
        second = await bench.run(*backwards)
        after = await bench.state()
        ways = set(_read(bench.folder / "ways"))
        commits = await bench.run("test_commits.py")

    for what, run in (
        ("four tests pass, and one fails as it is meant to", first),
        ("the same on the same database, from the last to the first", second),
    ):
        met = not _unexpected(run)
        exam.criterion(what, met, run.total if met else _unexpected(run)[:160])
    gone = min(after[name] - before[name] for name in before)
    exam.criterion("afterwards the database is as it was", after == before, _changes(before, after))
    both = all(
        f"{name} {way}" in ways for name in ("sells", "fails") for way in ("direct", "pgbouncer")
    )
    seen = sorted({line.split()[1] for line in ways})
    exam.criterion(
        "each test runs directly and through PgBouncer",
        both,
        " and ".join(seen) or "no test has run",
    )
    unclosed = "unclosed connection" in first.output
    left = bool(_of(commits, "FAILED")) and _of(commits, "FAILED")[-1].startswith("test_closed")
    exam.criterion(
        "each connection is closed",
        not unclosed and not left,
        "ResourceWarning: unclosed connection"
        if unclosed
        else "open, after an error"
        if left
        else "closed",
    )
    noticed = _noticed(commits)
    exam.criterion(
        "code that ends the test's transaction by itself is an error of its test",
        noticed,
        "an error" if noticed else commits.total,
    )
    ran = bool(ways)
    raised = [
        line for line in _of(first, "ERROR") if any(f"test_{name}" in line for name in ORDERLY)
    ]
    if gone < 0:
        exam.trap("deletes")
    elif after != before or between != before:
        exam.trap("stays")
    elif ran and raised:
        exam.trap("raises")
    elif ran and not both:
        exam.trap("one way")
    elif ran and (unclosed or (left and noticed)):
        exam.trap("unclosed")
    elif ran and not noticed:
        exam.trap("commits")


def _noticed(run: pytests.Run) -> bool:
    """None of the tests of COMMITS, on any way, has only passed."""
    passed, bad = (
        {line.split(" - ")[0] for line in _of(run, *outcomes) if not line.startswith("test_closed")}
        for outcomes in (("PASSED",), ("FAILED", "ERROR"))
    )
    return bool(bad) and passed <= bad


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _unexpected(run: pytests.Run) -> str:
    """What is not as it should be in a run of GIVEN; empty if all is."""
    if run.ended:
        return run.ended
    passed = {re.split(r"[\[ ]", name)[0] for name in _of(run, "PASSED")}
    bad = [line for line in _of(run, "FAILED", "ERROR") if not line.startswith("test_fails")]
    wrong = [line for line in _of(run, "ERROR") if line.startswith("test_fails")]
    if bad or wrong:
        return (bad + wrong)[0]
    if missing := [name for name in ORDERLY if f"test_{name}" not in passed]:
        return f"test_{missing[0]} has not run: {run.total.strip().splitlines()[-1] if run.total.strip() else 'no output'}"
    return ""


# Task 2: tests that find bugs, in any order

ROLLBACK = """
import os

import asyncpg
import pytest
import pytest_asyncio
import shop


@pytest.fixture(autouse=True, params=os.environ.get("BUGS", "no").split(","), ids=lambda bug: f"bug:{bug}:")
def _bug(request):
    shop.BUG = request.param


@pytest_asyncio.fixture
async def conn():
    conn = await asyncpg.connect(os.environ["DATABASE_URL"])
    transaction = conn.transaction()
    await transaction.start()
    try:
        yield conn
        assert conn.is_in_transaction(), "the test has ended its transaction"
    finally:
        await transaction.rollback()
        await conn.close()


def pytest_collection_modifyitems(items):
    if os.environ.get("BACKWARDS"):
        items.reverse()
"""
HELD = (
    "select from seats for update; select from orders for update; select from payments for update"
)


async def _finds_bugs(exam: Examination) -> None:
    file = "test_sales.py"
    async with _bench(exam, file, conftest=ROLLBACK) as bench:
        before = await bench.state()
        first = await bench.run(file)
        order = backwards = again = busy = bugs = first
        if not first.status:
            backwards = await bench.run(file, BACKWARDS="1")
            # What is committed in the meantime, on a morning like any other.
            await bench.admin.execute("""
                insert into orders (customer_id, total_cents, basket) values (2, 0, '{}'), (3, 0, '{}');
                update seats set status = 'sold' where event_id = 5 and label in ('A1', 'A2', 'B1', 'J10')""")
            before_again = await bench.state()
            again, order = await asyncio.gather(bench.run(file), bench.run(file, BACKWARDS="1"))
            after = await bench.state()
            holder = await asyncpg.connect(bench.stack.postgres.dsn(user=SUPERUSER))
            await holder.execute(f"begin; {HELD}")
            await bench.admin.execute(f"alter role {ROLE} set lock_timeout = '400ms'")
            busy = await bench.run(file)
            await bench.admin.execute(f"alter role {ROLE} reset lock_timeout")
            holder.terminate()
            bugs = await bench.run(file, BUGS=",".join(BUGS))
        else:
            before_again, after = before, await bench.state()

    passed = _of(first, "PASSED")
    exam.criterion("all tests pass, on a shop without a bug", not first.status, _first(first))
    if first.status:
        if after != before:
            exam.trap("commits")
        return
    skips = next(
        (
            run
            for run in (first, backwards, again, order, busy, bugs)
            if _of(run, "SKIPPED", "XFAIL", "XPASS")
        ),
        None,
    )
    exam.criterion(
        "no test is skipped or expected to fail, in no run", not skips, (skips or first).total
    )
    exam.criterion("from the last to the first", not backwards.status, _first(backwards))
    exam.criterion(
        "on the same database once more, when others have sold meanwhile, in two processes at once",
        not again.status and not order.status,
        _first(again if again.status else order),
    )
    exam.criterion(
        "while somebody else is in the middle of changing the shop's seats and orders",
        not busy.status,
        _first(busy),
    )
    exam.criterion(
        "nothing is left in the database", after == before_again, _changes(before_again, after)
    )
    found = {
        bug for bug in BUGS if any(f"bug:{bug}:" in line for line in _of(bugs, "FAILED", "ERROR"))
    }
    ran = bool(_of(bugs, "FAILED", "ERROR", "PASSED"))
    exam.criterion(
        "a bug in the shop makes a test fail",
        len(found) == len(BUGS),
        f"{len(found)} of {len(BUGS)} bugs are found" if ran else _first(bugs),
    )
    if skips:
        exam.trap("skips")
    elif after != before_again:
        exam.trap("commits")
    elif backwards.status:
        exam.trap("order")
    elif again.status or order.status:
        exam.trap("numbers")
    elif busy.status:
        exam.trap("shared rows")
    elif passed and len(found) < len(BUGS):
        exam.trap("finds too little")


# Task 3: a database for each test

POOLS = """
import asyncio
import pathlib
import time

import pytest
import shop

pytestmark = pytest.mark.asyncio


async def sell(pool, label):
    async with pool.acquire() as conn:
        return await shop.sell(conn, 5, label, 1)


async def test_one_of_two_gets_the_seat(pool):
    async with pool.acquire() as first, pool.acquire() as second:
        assert await second.fetchval("select pg_backend_pid()") != await first.fetchval("select pg_backend_pid()")
        transaction = first.transaction()
        await transaction.start()
        await first.execute("update seats set status = 'sold' where event_id = 5 and label = 'A1'")
        assert await second.fetchval("select status from seats where event_id = 5 and label = 'A1'") == "free"
        await transaction.commit()
    assert await pool.fetchval("select count(*) from orders") == 97


async def test_sells(pool):
    assert await asyncio.gather(sell(pool, "A1"), sell(pool, "A2"))
    await pool.execute("update customers set name = 'Somebody' where id = 1")
    await pool.execute("update seats set price_cents = 1 where event_id = 5 and label = 'A9'")
    assert await pool.fetchval("select count(*) from orders") == 99


async def test_fails(pool):
    await sell(pool, "A1")
    raise ValueError("this test is meant to fail")


async def test_sells_once_more(pool):
    assert await pool.fetchval("select name from customers where id = 1") == "Customer 1"
    assert await pool.fetchval("select price_cents from seats where event_id = 5 and label = 'A9'") > 1
    assert await sell(pool, "A1")
    assert await pool.fetchval("select count(*) from orders") == 98
"""
LEAKS = """
import pytest


@pytest.mark.asyncio
async def test_leaks(pool):
    await (await pool.acquire()).execute("begin")
"""
HANGS = """
import asyncio

import pytest


@pytest.mark.asyncio
async def test_hangs(pool):
    await pool.execute("select 1")
    open("hangs", "w").close()
    await asyncio.sleep(60)
"""
TOOK = 4.0  # seconds; the run with a leak needs less than one, and Pool.close() would never end


async def _own_database(exam: Examination) -> None:
    async with _bench(
        exam, "conftest.py", test_pools=POOLS, test_leaks=LEAKS, test_hangs=HANGS
    ) as bench:
        await bench.admin.close()  # it would be connected to what is copied
        bench.admin = await asyncpg.connect(bench.stack.postgres.dsn("postgres", user=SUPERUSER))
        await bench.admin.execute("create database encore_template template encore")
        await bench.admin.execute("alter database encore_template with allow_connections false")
        before = await _shop(bench)
        alone = await bench.run("test_pools.py")
        left = await bench.admin.fetchval(DATABASES)
        after = await _shop(bench)
        both = [alone]
        leak = alone
        if not _wrong(alone):
            killed = asyncio.create_task(bench.run("test_hangs.py"))
            while not (bench.folder / "hangs").exists() and not killed.done():
                await asyncio.sleep(0.01)
            killed.cancel()
            both = list(
                await asyncio.gather(bench.run("test_pools.py"), bench.run("test_pools.py"))
            )
            kept = await bench.admin.fetchval(DATABASES)
            leak = await bench.run("test_leaks.py", limit=TOOK)
            left = max(left, await bench.admin.fetchval(DATABASES) - kept)
            after = await _shop(bench)

    exam.criterion(
        "each test finds the shop as it was, with several connections",
        not _wrong(alone),
        _wrong(alone)[:160] or alone.total,
    )
    ran = bool(_of(alone, "PASSED", "FAILED"))
    if not _wrong(alone):
        wrong = next((found for run in both if (found := _wrong(run))), "")
        exam.criterion(
            "a run was killed; two new ones at the same time",
            not wrong,
            wrong[:160] or both[0].total,
        )
        ended = not leak.ended and "1 passed" in leak.total
        exam.criterion(
            "a test that never gives its connection back does not hold up the run",
            ended,
            _first(leak),
        )
    exam.criterion("no database of a finished run is left", not left, f"{left} left")
    exam.criterion("the shop's own database is as it was", after == before, _changes(before, after))
    text = alone.output
    if after != before:
        exam.trap("the shop's own")
    elif _wrong(alone):
        if "different loop" in text or "ScopeMismatch" in text or "Event loop is closed" in text:
            exam.trap("wrong loop")
        elif any(name.startswith("test_one_of_two") for name in _of(alone, "FAILED")):
            exam.trap("one connection")
        elif ran and any("test_sells" in name for name in _of(alone, "FAILED", "ERROR")):
            exam.trap("one for all")
    elif any(_wrong(run) for run in both):
        exam.trap("one name")
    elif leak.ended:
        exam.trap("waits")
    elif left:
        exam.trap("left over")


async def _shop(bench: Bench) -> dict[str, int]:
    conn = await asyncpg.connect(bench.stack.postgres.dsn(user=SUPERUSER))
    try:
        return dict(await conn.fetchrow(STATE))
    finally:
        await conn.close()


def _wrong(run: pytests.Run) -> str:
    """What is not as it should be in a run of POOLS; empty if all is."""
    if run.ended:
        return run.ended
    if bad := [
        line for line in _of(run, "FAILED", "ERROR") if not line.startswith("test_fails")
    ] + [line for line in _of(run, "ERROR") if line.startswith("test_fails")]:
        return bad[0]
    passed = {re.split(r"[\[ ]", name)[0] for name in _of(run, "PASSED")}
    wanted = {"test_one_of_two_gets_the_seat", "test_sells", "test_sells_once_more"}
    return "" if wanted <= passed else run.total.strip()[-160:] or "no test has run"


DRILL = Drill(
    name=NAME,
    title="Exercise 16: a fixture, a suite, and a database for each test",
    tasks=(
        Task(
            1,
            "nothing stays",
            _nothing_stays,
            drill=NAME,
            hints=(
                "Which of the fixture's lines undo what the test did, which undo more, and what is left when the test fails?",
                "Nothing needs to be deleted that was never committed. A fixture with params runs each test once for each of them.",
                "@pytest_asyncio.fixture(params=[…]), os.environ[request.param]; transaction = conn.transaction(), await "
                "transaction.start(), yield, then conn.is_in_transaction() has to be true still; in finally rollback and close.",
            ),
            traps={
                "deletes": "Rows are gone that were there before the tests: somebody's data.",
                "stays": "What a test stored is still there when pytest has ended.",
                "raises": "Tests pass and are errors at the same time: the fixture raises, and what it raises arrives at pytest.",
                "one way": "The tests have run on one of the two ways only: what fails on the other is found in production.",
                "unclosed": "Nobody closes the connections; the garbage collector does, at a time of its own.",
                "commits": "The code under test has committed by itself, the test is green, and its rows stay for ever.",
            },
        ),
        Task(
            2,
            "tests that find bugs, in any order",
            _finds_bugs,
            drill=NAME,
            hints=(
                "For each line of a test: who else could have changed what it reads? And which line of the shop could be wrong "
                "without any test noticing?",
                "A test that makes its own event and its own seats shares no row with anybody. It asks for what it has made: by the "
                "id that came back, not by a number, and not by a count of the whole table.",
                "A fixture event(conn) inserts an event with a seat and returns its id. After sell: the seat's status, the order's "
                "customer_id and total_cents, its payment's amount_cents and method; a second sell raises LookupError. "
                "After refund: the seat is free, the order is gone.",
            ),
            traps={
                "skips": "What is skipped, or expected to fail, finds nothing.",
                "commits": "The tests have committed: their rows are in the database now, for every later run.",
                "order": "A test needs another one that ran before it.",
                "numbers": "The tests expect numbers of an empty morning: an id, a count, a seat that nobody has bought.",
                "shared rows": "The tests change rows that are everybody's, and wait for whoever has locked them.",
                "finds too little": "Green, with a bug in the shop: a test that cannot fail says nothing.",
            },
        ),
        Task(
            3,
            "a database for each test",
            _own_database,
            drill=NAME,
            hints=(
                "What has the first test left for the second? And what has another process, that runs the same file now?",
                "create database … template encore_template, over ADMIN_URL, and a pool on it; all in a fixture of the test's own "
                "scope. "
                "The name has to be one that nobody else has at this moment.",
                'name = f"test_{uuid.uuid4().hex}"; DATABASE_URL with this name in place of encore; after the yield '
                "pool.terminate(), which does not wait, and drop database … with (force).",
            ),
            traps={
                "the shop's own": "The tests have changed the shop's own database.",
                "wrong loop": "The pool lives in another event loop than the test that uses it.",
                "one connection": "There is one connection for all: what happens between two of them cannot be tested.",
                "one for all": "A test finds what another one has sold.",
                "one name": "Two runs at once, or a run after one that was killed: they have the same database.",
                "waits": "The fixture waits for a connection that nobody will ever give back.",
                "left over": "Each run leaves a database behind.",
            },
        ),
    ),
)
