"""Warm-up: tests that use the learner's fixture `conn`."""

import asyncpg
import pytest

seen = []


@pytest.mark.asyncio
async def test_asks(conn):
    seen.append(conn)
    assert await conn.fetchval("select count(*) from events") == 5


@pytest.mark.asyncio
async def test_asks_again(conn):
    seen.append(conn)
    assert await conn.fetchval("select count(*) from events") == 5


@pytest.mark.asyncio
async def test_fails(conn):
    seen.append(conn)
    raise ValueError("this test is meant to fail")


def is_closed(conn):
    try:
        return conn.is_closed()
    except asyncpg.InterfaceError:  # given back to its pool
        return True


def test_each_is_closed():
    assert len(seen) == 3
    assert all(is_closed(conn) for conn in seen)
