"""Task 1: code under test that ends the test's transaction by itself."""

import asyncpg
import pytest
import shop

seen = []


@pytest.mark.asyncio
async def test_commits(conn):
    seen.append(conn)
    label = await conn.fetchval(
        "select min(label) from seats where event_id = 5 and status = 'free'"
    )
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
    except asyncpg.InterfaceError:  # given back to its pool
        return True


def test_closed():
    assert all(_is_closed(conn) for conn in seen)
