"""Task 1: tests that use the learner's fixture `conn`."""

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
    assert (
        await conn.fetchval("select count(*) from seats where status = 'sold' and event_id = 5")
        == 0
    )
