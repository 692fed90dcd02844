"""Stretch: what COMMIT would have refused, and code that begins a transaction itself."""

import asyncpg
import pytest
import shop

pytestmark = pytest.mark.asyncio
PAY = "insert into payments (order_id, amount_cents, method) values ($1, 500, 'card')"
seen = []


async def test_sells(conn):
    seen.append(conn)
    assert await shop.sell(conn, 5, "A1", 1)


async def test_pays_first_and_orders_then(conn):
    seen.append(conn)
    await conn.execute(PAY, 5000)
    await conn.execute(
        "insert into orders (id, customer_id, total_cents, basket) values (5000, 1, 500, '{}')"
    )


async def test_sql_error(conn):
    seen.append(conn)
    await shop.sell(conn, 5, "A1", 1)
    with pytest.raises(asyncpg.UndefinedTableError):
        await conn.execute("select * from nope")


async def test_error_in_a_block(conn):
    seen.append(conn)
    with pytest.raises(asyncpg.UndefinedTableError):
        async with conn.transaction():
            await conn.execute("select * from nope")
    assert await shop.sell(conn, 5, "A1", 1)


async def test_fails(conn):
    seen.append(conn)
    await shop.sell(conn, 5, "A1", 1)
    raise ValueError("this test is meant to fail")


async def test_pays_for_no_order(conn):
    seen.append(conn)
    await conn.execute(PAY, 999999)


async def test_commits(conn):
    seen.append(conn)
    await conn.execute("commit")


async def test_commits_and_begins(conn):
    seen.append(conn)
    await conn.execute("commit")
    await conn.execute("begin")
    await shop.sell(conn, 5, "A1", 1)


def is_closed(conn):
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:  # given back to its pool
        return True


async def test_each_is_closed():
    assert len(seen) == 8
    assert all(is_closed(conn) for conn in seen)
