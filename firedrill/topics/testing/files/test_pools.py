"""Task 3: tests that use the learner's fixture `pool`."""

import asyncio

import pytest
import shop

pytestmark = pytest.mark.asyncio


async def sell(pool, label):
    async with pool.acquire() as conn:
        return await shop.sell(conn, 5, label, 1)


async def test_one_of_two_gets_the_seat(pool):
    async with pool.acquire() as first, asyncio.timeout(5) as limit, pool.acquire() as second:
        limit.reschedule(None)
        assert await second.fetchval("select pg_backend_pid()") != await first.fetchval(
            "select pg_backend_pid()"
        )
        transaction = first.transaction()
        await transaction.start()
        await first.execute("update seats set status = 'sold' where event_id = 5 and label = 'A1'")
        assert (
            await second.fetchval("select status from seats where event_id = 5 and label = 'A1'")
            == "free"
        )
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
    assert (
        await pool.fetchval("select price_cents from seats where event_id = 5 and label = 'A9'") > 1
    )
    assert await sell(pool, "A1")
    assert await pool.fetchval("select count(*) from orders") == 98
