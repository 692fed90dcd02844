"""Wrong fixes for exercise 16, and other right ones: most are the solution with one change."""

from __future__ import annotations

import json
import re
from pathlib import Path

from firedrill import course

from ..code import written
from .answers import ANSWERS

STARTER = re.compile(r" *### STARTER\n(?:.*\n)*? *### END SOLUTION\n?")
SOLUTION = course.REPOSITORY / "solutions/16_testing.ipynb"


def solved(number: int) -> str:
    cells = json.loads(SOLUTION.read_text(encoding="utf-8"))["cells"]
    (source,) = [
        "".join(cell["source"])
        for cell in cells
        if f"task-{number}" in cell["metadata"].get("tags", [])
    ]
    return STARTER.sub("", source.partition("\n")[2])


def changed(name: str, number: int, *changes: tuple[str, str]) -> Path:
    source = solved(number)
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return written(source, name)


BLOCK = solved(1)[solved(1).index("    transaction = conn") :]
CLEAN = """    yield conn
    assert conn.is_in_transaction() is False
    await conn.execute("{}")
    await conn.close()
"""
ASK = """    assert await conn.fetchval("select count(*) from orders where id = $1", order) == 0
"""
ANY_SEAT = """async def event(conn):
    return 5


async def seat(conn, event):
    return await conn.fetchval(
        "select status from seats where event_id = $1 and label = 'F6'", event)
"""
OWN_EVENT = solved(2)[
    solved(2).index("async def event(conn)") : solved(2).index("async def test_a_seat_is_sold(")
]
ALONE = solved(3)[: solved(3).index("@pytest")]

DELETES = CLEAN.format("delete from payments; delete from orders; update seats set status = 'free'")
TRUNCATE_LATER = CLEAN.format("update seats set status = 'free' where event_id = 5")
RAISE = """    try:
        async with conn.transaction():
            yield conn
            assert conn.is_in_transaction()
            raise asyncpg.TransactionRollbackError("undo")
    finally:
        await conn.close()
"""
BLOCK_THAT_RAISES_AND_CATCHES = """    class Undo(Exception):
        pass

    try:
        async with conn.transaction():
            yield conn
            assert conn.is_in_transaction()
            raise Undo
    except Undo:
        pass
    finally:
        await conn.close()
"""
ONE_SESSION = """
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool():
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(os.environ["ADMIN_URL"])
    await admin.execute(f"create database {name} template encore_template")
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"].removesuffix("encore") + name)
    yield pool
    pool.terminate()
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()
"""
ONE_DATABASE = """
@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def database():
    name = f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(os.environ["ADMIN_URL"])
    await admin.execute(f"create database {name} template encore_template")
    yield os.environ["DATABASE_URL"].removesuffix("encore") + name
    await admin.execute(f"drop database {name} with (force)")
    await admin.close()


@pytest_asyncio.fixture
async def pool(database):
    pool = await asyncpg.create_pool(database, min_size=0, max_size=5)
    yield pool
    pool.terminate()
"""
CLEAN_UP = ONE_DATABASE.replace(
    "    pool.terminate()\n",
    """    await pool.execute(\"\"\"
        delete from payments where order_id > 97;
        delete from orders where id > 97;
        update seats set status = 'free' where event_id = 5\"\"\")
    pool.terminate()
""",
)
COUNTS = """    before = await conn.fetchval("select count(*) from orders")
    transaction = conn.transaction()
    await transaction.start()
    try:
        yield conn
    finally:
        await transaction.rollback()
        after = await conn.fetchval("select count(*) from orders")
        await conn.close()
    assert after == before
"""
NO_FINALLY = """    transaction = conn.transaction()
    await transaction.start()
    yield conn
    assert conn.is_in_transaction()
    await transaction.rollback()
    await conn.close()
"""
A_POOL = """    one = asyncpg.create_pool(os.environ[request.param], min_size=0, max_size=1)
    async with one as pool, pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            yield conn
            assert conn.is_in_transaction()
        finally:
            await transaction.rollback()
"""
A_FREE_SEAT = (
    OWN_EVENT[: OWN_EVENT.index("    event = await")]
    + """    row = await conn.fetchrow(\"\"\"
        select id from seats where status = 'free' for update skip locked limit 1\"\"\")
    if row is None:
        pytest.skip("no seat is free")
    await conn.execute(
        "update seats set event_id = 1, label = 'Z1', price_cents = 7300 where id = $1", row["id"])
    return 1


async def seat(conn, event):
    return await conn.fetchval("select status from seats where event_id = 1 and label = 'Z1'")


"""
)
CONNECTION = """
import contextlib


@pytest_asyncio.fixture
async def pool():
    conn = await asyncpg.connect(os.environ["DATABASE_URL"])
    transaction = conn.transaction()
    await transaction.start()

    class OneConnection:
        fetchval, execute = conn.fetchval, conn.execute

        @contextlib.asynccontextmanager
        async def acquire(self):
            yield conn

    yield OneConnection()
    await transaction.rollback()
    await conn.close()
"""
THE_SHOPS = """
@pytest_asyncio.fixture
async def pool():
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=0) as pool:
        yield pool
"""
A_NAME = ('f"test_{uuid.uuid4().hex}"', '"test"')
FRESH = (
    '    await admin.execute(f"create',
    '    await admin.execute(f"drop database if exists {name} with (force)")\n'
    '    await admin.execute(f"create',
)
CLOSE = ("pool.terminate()", "await pool.close()")

PLAIN = ("@pytest_asyncio.fixture\n", '@pytest.fixture(scope="function")\n')
OF_THE_SESSION = (
    "@pytest_asyncio.fixture\n",
    '@pytest_asyncio.fixture(scope="session", loop_scope="session")\n',
)
RETURNS = ("    yield conn\n    await conn.close()", "    return conn")
BY_A_POOL = (
    '    conn = await asyncpg.connect(os.environ["DATABASE_URL"])\n'
    "    yield conn\n    await conn.close()",
    '    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as pool:\n'
    "        async with pool.acquire() as conn:\n            yield conn",
)
CLOSED_TOO_SOON = (
    "    yield conn\n    await conn.close()",
    "    await conn.close()\n    yield conn",
)
AT_ONCE = '            await conn.execute("set constraints all immediate")\n'
NUMBER = """            now = await conn.fetchval("select pg_current_xact_id()")
            assert now == begun, "the code has begun another transaction"
"""
SUPPRESSED = "with contextlib.suppress(asyncpg.InFailedSQLTransactionError):"
BEGUN = '        begun = await conn.fetchval("select pg_current_xact_id()")\n'
MARKED = (
    (BEGUN, "        await conn.execute(\"select set_config('encore.test', 'mine', true)\")\n"),
    (
        NUMBER,
        "            mark = await conn.fetchval(\"select current_setting('encore.test', true)\")\n"
        '            assert mark == "mine"\n',
    ),
)
IN_FINALLY = (
    (AT_ONCE, ""),
    (
        "        try:\n            await transaction.rollback()\n"
        "        finally:\n            await conn.close(timeout=5)",
        "        with contextlib.suppress(asyncpg.InFailedSQLTransactionError):\n"
        "            await conn.execute('set constraints all immediate')\n"
        "        await transaction.rollback()\n        await conn.close(timeout=5)",
    ),
)

TRAPS = {
    (1, "deletes"): changed("delete_everything", 1, (BLOCK, DELETES)),
    (1, "stays"): changed("free_the_seats", 1, (BLOCK, TRUNCATE_LATER)),
    (1, "raises"): changed("find_the_right_exception", 1, (BLOCK, RAISE)),
    (1, "one way"): changed(
        "direct_only", 1, ('["DATABASE_URL", "PGBOUNCER_URL"]', '["DATABASE_URL"]')
    ),
    (1, "unclosed"): changed("never_close", 1, ("await conn.close(timeout=5)", "pass")),
    (1, "commits"): changed("do_not_look", 1, ("        assert conn.is_in", "        conn.is_in")),
    (2, "skips"): changed(
        "skip_the_refund",
        2,
        ("async def test_a_refund", "@pytest.mark.skip\nasync def test_a_refund"),
    ),
    (2, "commits"): changed(
        "commit",
        2,
        (
            '    assert await seat(conn, event) == "sold"\n',
            '    assert await seat(conn, event) == "sold"\n'
            '    await conn.execute("commit; begin")\n',
        ),
    ),
    (2, "order"): changed(
        "remember_the_order",
        2,
        (
            '    assert await seat(conn, event) == "sold"\n',
            '    assert await seat(conn, event) == "sold"\n    seen.append(event)\n',
        ),
        ("async def test_the_order_is", "seen = []\n\n\nasync def test_the_order_is"),
        (
            "    with pytest.raises(LookupError):\n",
            "    assert seen\n    with pytest.raises(LookupError):\n",
        ),
    ),
    (2, "numbers"): changed(
        "count_the_table",
        2,
        (ASK, '    assert await conn.fetchval("select count(*) from orders") == 97\n'),
    ),
    (2, "shared rows"): changed(
        "sell_a_seat_of_the_shop",
        2,
        (OWN_EVENT, ANY_SEAT),
        ('"A1"', '"F6"'),
        ("7300, 7300", "8200, 8200"),
    ),
    (2, "finds too little"): changed(
        "look_at_nothing", 2, (ASK, ""), ("(1, 7300, 7300, ", "(row[0], row[1], row[2], ")
    ),
    (0, "not run"): changed("made_by_pytest", 0, PLAIN),
    (0, "another loop"): changed("one_for_the_session", 0, OF_THE_SESSION),
    (0, "left open"): changed("return_it", 0, RETURNS),
    (4, "not asked"): changed("only_the_number", 4, (AT_ONCE, "")),
    (4, "another one"): changed("only_the_constraints", 4, (NUMBER, "")),
    (4, "already failed"): changed("in_any_case", 4, (SUPPRESSED, "if True:")),
    (4, "left open"): changed("ask_in_finally", 4, *IN_FINALLY),
    (3, "the shop's own"): written(ALONE + THE_SHOPS, "commit_in_the_shop"),
    (3, "wrong loop"): written(ALONE + ONE_SESSION, "one_pool_for_all"),
    (3, "one connection"): written(ALONE + CONNECTION, "one_connection_for_all"),
    (3, "one for all"): written(ALONE + ONE_DATABASE, "one_database_for_all"),
    (3, "one name"): changed("drop_it_first", 3, A_NAME, FRESH),
    (3, "waits"): changed("close_the_pool", 3, CLOSE),
    (3, "left over"): changed(
        "never_drop", 3, ('        await admin.execute(f"drop database {name} with (force)")\n', "")
    ),
}
OTHER_ANSWERS = (
    (1, None, changed("catch_what_was_raised", 1, (BLOCK, BLOCK_THAT_RAISES_AND_CATCHES))),
    (1, "commits", changed("count_the_orders", 1, (BLOCK, COUNTS))),
    (1, "unclosed", changed("no_finally", 1, (BLOCK, NO_FINALLY))),
    (
        1,
        None,
        changed(
            "from_a_pool",
            1,
            (BLOCK, A_POOL),
            ("    conn = await asyncpg.connect(os.environ[request.param])\n", ""),
        ),
    ),
    (2, "skips", changed("skip_when_none_is_free", 2, (OWN_EVENT, A_FREE_SEAT), ('"A1"', '"Z1"'))),
    (2, "finds too little", changed("any_error", 2, ("LookupError", "Exception"))),
    (
        2,
        "finds too little",
        changed(
            "only_the_total",
            2,
            ('(1, 7300, 7300, "card")', "(row[0], 7300, row[2], row[3]) and row[2]"),
        ),
    ),
    (2, "", written("import nonsense_of_mine\n", "does_not_import")),
    (3, None, changed("name_by_process", 3, ("uuid.uuid4().hex", "os.getpid()}_{id(object())"))),
    (3, "one for all", written(ALONE + CLEAN_UP, "clean_up_the_sales")),
    (3, "one name", changed("one_name", 3, A_NAME)),
)
MORE_ANSWERS = (
    *ANSWERS,
    (0, None, changed("by_a_pool", 0, BY_A_POOL)),
    (0, "", changed("closed_too_soon", 0, CLOSED_TOO_SOON)),
    (4, "", changed("from_the_beginning", 4, (AT_ONCE, ""), (BEGUN, BEGUN + AT_ONCE[4:]))),
    (
        4,
        "not asked",
        changed("hear_nothing", 4, ("InFailedSQLTransactionError", "PostgresError")),
    ),
    (4, "", changed("commit_it", 4, ("transaction.rollback()", "transaction.commit()"))),
    (4, None, changed("a_mark", 4, *MARKED)),
    (
        4,
        None,
        changed(
            "the_number_as_text",
            4,
            ("pg_current_xact_id()", "pg_current_xact_id()::text"),
            ("all immediate", "payments_order_id_fkey immediate"),
        ),
    ),
)
