"""The timeline sees who waits, holds and never returns; and asyncpg's pool is as it was when it
has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from asyncpg.pool import PoolConnectionHolder

from firedrill import servers, timeline
from firedrill.timeline.picture import draw


@pytest.fixture(scope="module")
def stack() -> Any:
    with servers.open() as stack:
        yield stack


def with_pool(stack: servers.Stack, run: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with asyncpg.create_pool(
            stack.postgres.dsn(), **{"min_size": 1, "max_size": 1, **options}
        ) as pool:
            await run(pool)

    asyncio.run(whole())


async def hold(pool: Any, release: asyncio.Event) -> None:
    async with pool.acquire() as conn:
        await conn.execute("select 1")
        await release.wait()


def test_who_waits_and_who_holds(stack: servers.Stack) -> None:
    async def run(pool: Any) -> None:
        release = asyncio.Event()
        with timeline.record(pool) as line:
            first = asyncio.create_task(hold(pool, release), name="first")
            await asyncio.sleep(0)
            second = asyncio.create_task(hold(pool, release), name="second")
            while len(line.borrows) < 2:
                await asyncio.sleep(0)
            while line.borrows[0].got is None:
                await asyncio.sleep(0.001)
            release.set()
            await asyncio.gather(first, second)
        one, two = line.borrows
        assert (one.who, one.where, one.waited, one.connection) == ("first", "hold", False, 1)
        assert (two.who, two.where, two.waited, two.connection) == ("second", "hold", True, 1)
        assert one.returned is not None
        assert two.got is not None
        assert one.returned <= two.got
        assert line.longest_wait == two.got - two.asked
        assert line.never_returned == []

    with_pool(stack, run)


def test_who_never_gives_it_back_and_who_gives_up(stack: servers.Stack) -> None:
    async def leak(pool: Any) -> Any:
        return await pool.acquire()

    async def run(pool: Any) -> None:
        with timeline.record(pool) as line:
            kept = await leak(pool)
            with pytest.raises(TimeoutError):
                await pool.acquire(timeout=0.05)
            assert [(one.where, one.connection) for one in line.never_returned] == [("leak", 1)]
        assert "gives up" in repr(line).splitlines()[3]
        assert line.borrows[1].gave_up
        await pool.release(kept)

    with_pool(stack, run)


def test_a_query_of_the_pool_is_seen_with_its_caller(stack: servers.Stack) -> None:
    async def price(pool: Any) -> None:
        await pool.fetchval("select 1")

    async def run(pool: Any) -> None:
        with timeline.record(pool) as line:
            await price(pool)
            await asyncio.gather(pool.fetchval("select 1"))
        assert [one.where for one in line.borrows] == ["price", "pool.fetchval"]
        assert all(one.returned for one in line.borrows)

    with_pool(stack, run)


def test_a_connection_that_replaces_another_has_its_own_lane(stack: servers.Stack) -> None:
    async def run(pool: Any) -> None:
        with timeline.record(pool) as line:
            for _ in range(2):
                async with pool.acquire() as conn:
                    await conn.close()
        assert [one.connection for one in line.borrows] == [1, 2]
        assert set(line.closed) == {1, 2}
        assert line.opened[2] >= line.closed[1]

    with_pool(stack, run)


def test_tasks_without_a_name_are_numbered_by_first_appearance(stack: servers.Stack) -> None:
    async def run(pool: Any) -> None:
        with timeline.record(pool) as line:
            await asyncio.gather(*(pool.fetchval("select 1") for _ in range(3)))
        assert [one.who for one in line.borrows] == ["task 1", "task 2", "task 3"]

    with_pool(stack, run)


def test_more_borrows_than_fit_are_counted(stack: servers.Stack) -> None:
    async def run(pool: Any) -> None:
        with timeline.record(pool) as line:
            await asyncio.gather(*(pool.fetchval("select 1") for _ in range(40)))
        assert (
            repr(line)
            == "40 borrows of 1 connections: 39 had to wait, 0 got none, 0 never came back"
        )
        draw(line)

    with_pool(stack, run)


def test_another_pool_is_not_recorded_and_asyncpg_is_put_back(stack: servers.Stack) -> None:
    before = [vars(asyncpg.Pool)["_acquire"]] + [
        vars(PoolConnectionHolder)[name] for name in ("connect", "_release", "_release_on_close")
    ]

    async def run(pool: Any) -> None:
        async with asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1) as other:
            with timeline.record(pool) as line, timeline.record(other) as others:
                assert vars(asyncpg.Pool)["_acquire"] is not before[0]
                await pool.fetchval("select 1")
            assert len(line.borrows) == 1
            assert others.borrows == []
            await other.fetchval("select 1")

    with_pool(stack, run)
    assert before == [vars(asyncpg.Pool)["_acquire"]] + [
        vars(PoolConnectionHolder)[name] for name in ("connect", "_release", "_release_on_close")
    ]


def test_a_pool_is_recorded_once_at_a_time(stack: servers.Stack) -> None:
    async def run(pool: Any) -> None:
        with (
            timeline.record(pool),
            pytest.raises(ValueError, match="end that recording first"),
            timeline.record(pool),
        ):
            pass

    with_pool(stack, run)
