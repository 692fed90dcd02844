"""More answers to exercise 16, written from its statement alone: ANSWERS."""

from __future__ import annotations

from pathlib import Path

from ..code import written

# Task 1

HEAD = """
import asyncio
import contextlib
import os

import asyncpg
import pytest
import pytest_asyncio

WAYS = ["DATABASE_URL", "PGBOUNCER_URL"]
"""
ROLLED_BACK = (
    HEAD
    + """

@pytest_asyncio.fixture(params=WAYS)
async def conn(request):
    conn = await asyncpg.connect(os.environ[request.param], statement_cache_size=0)
    transaction = conn.transaction()
    await transaction.start()
    try:
        yield conn
        assert conn.is_in_transaction(), "the code under test has ended the transaction"
    finally:
        if conn.is_in_transaction():
            await transaction.rollback()
        await conn.close()
"""
)
LOOK = """        assert conn.is_in_transaction(), "the code under test has ended the transaction"
"""


def changed(name: str, *pairs: tuple[str, str], source: str = ROLLED_BACK) -> Path:
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return written(source, name)


rolls_back = written(ROLLED_BACK, "rolls_back")
in_a_context = written(
    HEAD
    + """

@contextlib.asynccontextmanager
async def opened(url):
    conn = await asyncpg.connect(url, statement_cache_size=0)
    try:
        yield conn
    finally:
        await conn.close()


@contextlib.asynccontextmanager
async def undone(conn):
    transaction = conn.transaction()
    await transaction.start()
    ended = False
    try:
        yield
    finally:
        ended = not conn.is_in_transaction()
        if not ended:
            await transaction.rollback()
    if ended:
        pytest.fail("a commit, or a rollback, of the code under test")


@pytest.fixture(params=WAYS)
def url(request):
    return os.environ[request.param]


@pytest_asyncio.fixture
async def conn(url):
    async with opened(url) as conn, undone(conn):
        yield conn
""",
    "in_a_context",
)
ends_the_connection = written(
    HEAD
    + """

def pytest_generate_tests(metafunc):
    if "conn" in metafunc.fixturenames:
        metafunc.parametrize("conn", WAYS, indirect=True)


@pytest_asyncio.fixture
async def conn(request):
    conn = await asyncpg.connect(os.environ[request.param], statement_cache_size=0)
    await conn.transaction().start()
    yield conn
    is_open = conn.is_in_transaction()
    if is_open:
        await conn.execute("rollback")
    await conn.close()
    if not is_open:
        raise RuntimeError("the transaction has been ended")
""",
    "ends_the_connection",
)
direct_only = changed("direct_only", ("(params=WAYS)", "(params=WAYS[:1])"))
cached_statements = changed("cached_statements", (", statement_cache_size=0", ""))
commits_at_last = changed(
    "commits_at_last", ("await transaction.rollback()", "await transaction.commit()")
)
begun_by_hand = changed(
    "begun_by_hand",
    (
        "    transaction = conn.transaction()\n    await transaction.start()\n",
        '    await conn.execute("begin")\n',
    ),
    ("await transaction.rollback()", 'await conn.execute("rollback")'),
)
does_not_look = changed(
    "does_not_look",
    (
        LOOK,
        "",
    ),
    (
        "        if conn.is_in_transaction():\n            await transaction.rollback()\n",
        '        await conn.execute("rollback")\n',
    ),
)
plain_fixture = changed("plain_fixture", ("@pytest_asyncio.fixture", "@pytest.fixture"))
one_for_the_session = changed(
    "one_for_the_session", ("(params=WAYS)", '(params=WAYS, scope="session")')
)
one_for_the_session_and_loop = changed(
    "one_for_the_session_and_loop",
    ("(params=WAYS)", '(params=WAYS, scope="session", loop_scope="session")'),
)
never_closed = changed("never_closed", ("        await conn.close()\n", ""))
closed_when_all_is_well = changed(
    "closed_when_all_is_well",
    (
        "        if conn.is_in_transaction():\n            await transaction.rollback()\n"
        "        await conn.close()\n",
        "        pass\n",
    ),
    (
        "    finally:",
        "        await transaction.rollback()\n        await conn.close()\n    finally:",
    ),
)
asks_at_last = changed(
    "asks_at_last",
    ("        yield conn\n", "        yield conn\n        await conn.fetchval('select 1')\n"),
)
only_a_warning = changed(
    "only_a_warning",
    (
        LOOK,
        "        if not conn.is_in_transaction():\n"
        "            import warnings\n"
        '            warnings.warn("the transaction has been ended")\n',
    ),
)
deletes_what_is_new = written(
    HEAD
    + """

@pytest_asyncio.fixture(params=WAYS)
async def conn(request):
    conn = await asyncpg.connect(os.environ[request.param], statement_cache_size=0)
    last = await conn.fetchval("select max(id) from orders")
    free = [row["id"] for row in await conn.fetch("select id from seats where status = 'free'")]
    try:
        yield conn
    finally:
        await conn.execute("delete from payments where order_id > $1", last)
        await conn.execute("delete from orders where id > $1", last)
        await conn.execute("update seats set status = 'free' where id = any($1::int[])", free)
        await conn.close()
""",
    "deletes_what_is_new",
)
skips_the_second_way = changed(
    "skips_the_second_way",
    (
        "async def conn(request):\n",
        "async def conn(request):\n"
        '    if request.param == "PGBOUNCER_URL":\n'
        '        pytest.skip("no PgBouncer here")\n',
    ),
)
both_ways_in_one = written(
    HEAD
    + """

@pytest_asyncio.fixture
async def conn():
    conn = await asyncpg.connect(os.environ["PGBOUNCER_URL"], statement_cache_size=0)
    transaction = conn.transaction()
    await transaction.start()
    yield conn
    ended = not conn.is_in_transaction()
    if not ended:
        await transaction.rollback()
    await conn.close()
    assert not ended
""",
    "both_ways_in_one",
)

# Task 2

SALES = """
import uuid

import pytest
import pytest_asyncio
import shop

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def event(conn):
    return await conn.fetchval(
        "insert into events (title, venue, starts_at, on_sale_at) "
        "values ('Test', 'Here', now(), now()) returning id")


@pytest_asyncio.fixture
async def seat(conn, event):
    await conn.execute(
        "insert into seats (event_id, label, price_cents) values ($1, 'A1', 1234)", event)
    return "A1"


@pytest_asyncio.fixture
async def customer(conn):
    return await conn.fetchval(
        "insert into customers (email, name, joined_at) values ($1, 'Tester', now()) returning id",
        uuid.uuid4().hex + "@example.com")


async def status(conn, event, seat):
    return await conn.fetchval(
        "select status from seats where event_id = $1 and label = $2", event, seat)


async def test_seat(conn, event, seat, customer):
    await shop.sell(conn, event, seat, customer)
    assert await status(conn, event, seat) == "sold"


async def test_order(conn, event, seat, customer):
    number = await shop.sell(conn, event, seat, customer)
    order = await conn.fetchrow("select * from orders where id = $1", number)
    assert (order["customer_id"], order["total_cents"]) == (customer, 1234)


async def test_payment(conn, event, seat, customer):
    number = await shop.sell(conn, event, seat, customer)
    payments = await conn.fetch("select * from payments where order_id = $1", number)
    assert [(row["amount_cents"], row["method"]) for row in payments] == [(1234, "card")]


async def test_twice(conn, event, seat, customer):
    await shop.sell(conn, event, seat, customer)
    with pytest.raises(LookupError):
        await shop.sell(conn, event, seat, customer)


async def test_refund(conn, event, seat, customer):
    number = await shop.sell(conn, event, seat, customer)
    await shop.refund(conn, number)
    assert await status(conn, event, seat) == "free"
    assert not await conn.fetch("select from orders where id = $1", number)
    assert not await conn.fetch("select from payments where order_id = $1", number)
    assert await shop.sell(conn, event, seat, customer) != number
"""
ONE_TEST = """
import pytest
import shop


class Shop:
    def __init__(self, conn):
        self.conn = conn

    async def open(self, price=4200):
        self.event = await self.conn.fetchval(
            "insert into events (title, venue, starts_at, on_sale_at) "
            "select title, venue, starts_at, on_sale_at from events limit 1 returning id")
        for label in ("X1", "X2"):
            await self.conn.execute(
                "insert into seats (event_id, label, price_cents) values ($1, $2, $3)",
                self.event, label, price)

    async def seats(self):
        return dict(await self.conn.fetch(
            "select label, status::text from seats where event_id = $1", self.event))

    async def sold(self, number):
        return await self.conn.fetch(
            "select customer_id, total_cents, amount_cents, method from orders o "
            "join payments on order_id = o.id where o.id = $1", number)


@pytest.mark.asyncio
@pytest.mark.parametrize("customer", [1, 2])
async def test_a_day(conn, customer):
    there = Shop(conn)
    await there.open()
    number = await shop.sell(conn, there.event, "X1", customer)
    assert await there.seats() == {"X1": "sold", "X2": "free"}
    [row] = await there.sold(number)
    assert tuple(row) == (customer, 4200, 4200, "card")
    with pytest.raises(LookupError):
        await shop.sell(conn, there.event, "X1", customer)
    await shop.refund(conn, number)
    assert await there.seats() == {"X1": "free", "X2": "free"}
    assert not await conn.fetchval("select count(*) from orders where id = $1", number)
"""
all_promises = written(SALES, "all_promises")
one_test = written(ONE_TEST, "one_test")
ORDER = """    assert (order["customer_id"], order["total_cents"]) == (customer, 1234)"""


def sales(name: str, *pairs: tuple[str, str]) -> Path:
    return changed(name, *pairs, source=SALES)


in_a_class = written(
    SALES.replace("async def test_", "async def _test_")
    + """

class TestShop:
    async def test_all(self, conn, event, seat, customer):
        for test in (_test_seat, _test_order, _test_payment, _test_twice, _test_refund):
            transaction = conn.transaction()
            await transaction.start()
            await test(conn, event, seat, customer)
            await transaction.rollback()
""",
    "in_a_class",
)
no_price = sales("no_price", (ORDER, '    assert order["customer_id"] == customer'))
no_customer = sales("no_customer", (ORDER, '    assert order["total_cents"] == 1234'))
any_error = sales("any_error", ("pytest.raises(LookupError)", "pytest.raises(Exception)"))
no_method = sales(
    "no_method",
    ('(row["amount_cents"], row["method"])', 'row["amount_cents"]'),
    ('[(1234, "card")]', "[1234]"),
)
payment_of_anybody = sales(
    "payment_of_anybody",
    ('select * from payments where order_id = $1", number)', 'select * from payments")'),
    ('== [(1234, "card")]', "!= []"),
)
highest_number = sales(
    "highest_number",
    (
        "    order = await",
        '    assert number == await conn.fetchval("select max(id) from orders")\n    order = await',
    ),
)
one_more = sales(
    "one_more",
    (
        "    number = await shop.sell(conn, event, seat, customer)\n    order = await",
        '    before = await conn.fetchval("select count(*) from orders")\n'
        "    number = await shop.sell(conn, event, seat, customer)\n"
        '    after = await conn.fetchval("select count(*) from orders")\n'
        "    assert after == before + 1\n    order = await",
    ),
)
the_next_number = sales(
    "the_next_number",
    (
        "    number = await shop.sell(conn, event, seat, customer)\n    order = await",
        '    last = await conn.fetchval("select last_value from orders_id_seq")\n'
        "    number = await shop.sell(conn, event, seat, customer)\n"
        "    assert number == last + 1\n    order = await",
    ),
)
seat_of_the_shop = sales(
    "seat_of_the_shop",
    (
        """        "insert into events (title, venue, starts_at, on_sale_at) "
        "values ('Test', 'Here', now(), now()) returning id")""",
        "        \"select event_id from seats where status = 'free' limit 1\")",
    ),
    (
        '''    await conn.execute(
        "insert into seats (event_id, label, price_cents) values ($1, 'A1', 1234)", event)
    return "A1"''',
        """    await conn.execute("update seats set price_cents = 1234 where event_id = $1", event)
    return await conn.fetchval(
        "select label from seats where event_id = $1 and status = 'free' limit 1", event)""",
    ),
)
kept_between_tests = sales(
    "kept_between_tests",
    (
        "async def test_twice(conn, event, seat, customer):\n"
        "    await shop.sell(conn, event, seat, customer)\n",
        "done = []\n\n\nasync def test_twice(conn, event, seat, customer):\n    assert done\n"
        "    await shop.sell(conn, event, seat, customer)\n",
    ),
    (
        "async def test_seat(conn, event, seat, customer):\n",
        "async def test_seat(conn, event, seat, customer):\n    done.append(1)\n",
    ),
)
commits_and_deletes_nothing = sales(
    "commits_and_deletes_nothing",
    ("import uuid\n", "import os\nimport uuid\n\nimport asyncpg\n"),
    (
        "async def test_seat(conn, event, seat, customer):\n    await shop",
        "async def test_seat(event, seat, customer, conn):\n"
        '    other = await asyncpg.connect(os.environ["DATABASE_URL"])\n'
        '    await other.execute("insert into orders (customer_id, total_cents, basket) '
        "values (1, 0, '{}')\")\n"
        "    await other.close()\n    await shop",
    ),
)
swallowed_asserts = sales(
    "swallowed_asserts",
    (
        "async def test_refund(conn, event, seat, customer):\n",
        "async def test_refund(conn, event, seat, customer):\n"
        "    try:\n        await _test_refund(conn, event, seat, customer)\n"
        "    except AssertionError:\n        pass\n\n\n"
        "async def _test_refund(conn, event, seat, customer):\n",
    ),
)
expected_to_fail = sales(
    "expected_to_fail",
    (
        "pytestmark = pytest.mark.asyncio",
        "pytestmark = [pytest.mark.asyncio, pytest.mark.xfail(strict=False)]",
    ),
)

# Task 3

COPIED = """
import asyncio
import contextlib
import os
import time
import uuid

import asyncpg
import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def pool():
    name = "test_" + uuid.uuid4().hex
    admin = await asyncpg.connect(os.environ["ADMIN_URL"])
    try:
        await admin.execute(f'create database "{name}" template encore_template')
        url = os.environ["DATABASE_URL"].removesuffix("encore") + name
        pool = await asyncpg.create_pool(url, min_size=2, max_size=4)
        try:
            yield pool
        finally:
            pool.terminate()
            await admin.execute(f'drop database "{name}" with (force)')
    finally:
        await admin.close()
"""


def copied(name: str, *pairs: tuple[str, str]) -> Path:
    return changed(name, *pairs, source=COPIED)


a_database_each = written(COPIED, "a_database_each")
patient_close = copied(
    "patient_close",
    (
        "            pool.terminate()\n",
        "            try:\n"
        "                await asyncio.wait_for(pool.close(), 0.5)\n"
        "            except TimeoutError:\n"
        "                pool.terminate()\n",
    ),
)
in_two_fixtures = written(
    """
import asyncio
import itertools
import os
import time

import asyncpg
import pytest
import pytest_asyncio

COUNT = itertools.count()


def administer(*statements):
    async def main():
        conn = await asyncpg.connect(os.environ["ADMIN_URL"])
        for statement in statements:
            await conn.execute(statement)
        await conn.close()
    asyncio.run(main())


@pytest.fixture
def database():
    name = f"t_{os.getpid()}_{time.time_ns()}_{next(COUNT)}"
    administer(f"create database {name} template encore_template")
    yield os.environ["DATABASE_URL"][:-len("encore")] + name
    administer(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
        f"drop database {name} with (force)")


@pytest_asyncio.fixture
async def pool(database):
    pool = await asyncpg.create_pool(database)
    yield pool
    pool.terminate()
""",
    "in_two_fixtures",
)
fixed_name = copied("fixed_name", ('"test_" + uuid.uuid4().hex', '"encore_test"'))
fixed_name_dropped_first = copied(
    "fixed_name_dropped_first",
    ('"test_" + uuid.uuid4().hex', '"encore_test"'),
    (
        "    try:\n        await admin.execute(f'create",
        "    try:\n"
        "        await admin.execute(f'drop database if exists \"{name}\" with (force)')\n"
        "        await admin.execute(f'create",
    ),
)
cleans_up_all = copied(
    "cleans_up_all",
    (
        "    try:\n        await admin.execute(f'create",
        "    for row in await admin.fetch(\n"
        "            \"select datname from pg_database where datname like 'test%'\"):\n"
        "        await admin.execute(f'drop database \"{row[0]}\" with (force)')\n"
        "    try:\n        await admin.execute(f'create",
    ),
)
waits_for_all = copied("waits_for_all", ("pool.terminate()", "await pool.close()"))
never_dropped = copied(
    "never_dropped",
    ("            await admin.execute(f'drop database \"{name}\" with (force)')\n", ""),
)
dropped_without_force = copied(
    "dropped_without_force",
    (" with (force)", ""),
    ("            pool.terminate()\n", "            await pool.close()\n"),
)
for_the_session = copied(
    "for_the_session",
    (
        "@pytest_asyncio.fixture\n",
        '@pytest_asyncio.fixture(scope="session", loop_scope="session")\n',
    ),
)
for_the_module = copied(
    "for_the_module",
    ("@pytest_asyncio.fixture\n", '@pytest_asyncio.fixture(scope="module", loop_scope="module")\n'),
)
of_one_connection = copied(
    "of_one_connection", ("min_size=2, max_size=4", "min_size=1, max_size=1")
)
an_empty_database = copied("an_empty_database", (" template encore_template", ""))
of_the_shop = copied(
    "of_the_shop",
    ("        await admin.execute(f'create database \"{name}\" template encore_template')\n", ""),
    ('os.environ["DATABASE_URL"].removesuffix("encore") + name', 'os.environ["DATABASE_URL"]'),
    ("            await admin.execute(f'drop database \"{name}\" with (force)')\n", ""),
)
template_of_the_shop = copied(
    "template_of_the_shop", ("template encore_template", "template encore")
)
named_by_the_test = copied(
    "named_by_the_test",
    ("async def pool():", "async def pool(request):"),
    ('"test_" + uuid.uuid4().hex', '"test_" + request.node.name'),
)
closed_in_the_background = copied(
    "closed_in_the_background",
    (
        "            pool.terminate()\n"
        "            await admin.execute(f'drop database \"{name}\" with (force)')\n",
        "            asyncio.ensure_future(pool.close())\n",
    ),
)


ANSWERS: tuple[tuple[int, str | None, Path], ...] = (
    (1, None, rolls_back),
    (1, None, in_a_context),
    (1, None, ends_the_connection),
    (1, "one way", direct_only),
    (1, None, cached_statements),
    (1, "stays", commits_at_last),
    (1, "", begun_by_hand),
    (1, "commits", does_not_look),
    (1, "", plain_fixture),
    (1, "", one_for_the_session),
    (1, "", one_for_the_session_and_loop),
    (1, "unclosed", never_closed),
    (1, "unclosed", closed_when_all_is_well),
    (1, "raises", asks_at_last),
    (1, "commits", only_a_warning),
    (1, "commits", deletes_what_is_new),
    (1, "one way", skips_the_second_way),
    (1, "one way", both_ways_in_one),
    (2, None, all_promises),
    (2, None, one_test),
    (2, None, in_a_class),
    (2, "finds too little", no_price),
    (2, "finds too little", no_customer),
    (2, "finds too little", any_error),
    (2, "finds too little", no_method),
    (2, "finds too little", payment_of_anybody),
    (2, "numbers", highest_number),
    (2, "numbers", one_more),
    (2, "numbers", the_next_number),
    (2, "shared rows", seat_of_the_shop),
    (2, "order", kept_between_tests),
    (2, "commits", commits_and_deletes_nothing),
    (2, "finds too little", swallowed_asserts),
    (2, "skips", expected_to_fail),
    (3, None, a_database_each),
    (3, None, patient_close),
    (3, None, in_two_fixtures),
    (3, "one name", fixed_name),
    (3, "one name", fixed_name_dropped_first),
    (3, "one name", cleans_up_all),
    (3, "waits", waits_for_all),
    (3, "left over", never_dropped),
    (3, "waits", dropped_without_force),
    (3, "wrong loop", for_the_session),
    (3, "wrong loop", for_the_module),
    (3, "one connection", of_one_connection),
    (3, "", an_empty_database),
    (3, "the shop's own", of_the_shop),
    (3, "", template_of_the_shop),
    (3, "one name", named_by_the_test),
    (3, "left over", closed_in_the_background),
)
