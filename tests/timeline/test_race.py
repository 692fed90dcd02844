"""A race records what its connections did, in the order of sending, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from firedrill import servers, timeline, views
from firedrill.timeline.race import METHODS
from firedrill.timeline.race_picture import draw

PRICE = "update seats set price_cents = $1 where id = 1"


@pytest.fixture(scope="module")
def stack() -> Any:
    with servers.open() as stack:
        yield stack


def with_two(stack: servers.Stack, run: Callable[[Any, Any], Awaitable[None]]) -> None:
    async def whole() -> None:
        alice, bob = [await asyncpg.connect(stack.postgres.dsn()) for _ in range(2)]
        try:
            await run(alice, bob)
        finally:
            await alice.close()
            await bob.close()

    asyncio.run(whole())


async def until_blocked(stack: servers.Stack) -> None:
    async with asyncio.timeout(10):
        while not await views.locks(stack.postgres):
            await asyncio.sleep(0.01)


def test_a_statement_that_waits_is_answered_after_the_one_that_let_it_go_on(
    stack: servers.Stack,
) -> None:
    async def run(alice: Any, bob: Any) -> None:
        with timeline.race(alice=alice, bob=bob) as race:
            first = alice.transaction()
            await first.start()
            await alice.execute(PRICE, 100)
            waiting = asyncio.create_task(bob.execute(PRICE, 200))
            await until_blocked(stack)
            assert race.steps[-1].after is None
            assert "waits still" in repr(race)
            draw(race)
            await first.commit()
            await waiting
        assert [(one.who, one.statement, one.answer, one.after) for one in race.steps] == [
            ("alice", "BEGIN", "BEGIN", 1),
            ("alice", "update seats set price_cents = 100 where id = 1", "UPDATE 1", 2),
            ("bob", "update seats set price_cents = 200 where id = 1", "UPDATE 1", 4),
            ("alice", "COMMIT", "COMMIT", 4),
        ]
        assert [one.waited for one in race.steps] == [False, False, True, False]
        assert "waits; after step 4: UPDATE 1" in repr(race)

    with_two(stack, run)


def test_values_rows_and_errors_are_answers(stack: servers.Stack) -> None:
    async def run(alice: Any, bob: Any) -> None:
        with timeline.race(alice=alice, bob=bob) as race:
            assert await alice.fetchval("select $1::text || $2::int;", "a", 1, column=0) == "a1"
            assert len(await alice.fetch("select generate_series(1, 3)")) == 3
            assert len(await alice.fetch("select 7, 8")) == 1
            assert await bob.fetchrow("select 1 where false") is None
            with pytest.raises(asyncpg.DivisionByZeroError):
                await bob.fetchrow("select 1 / 0")
            with pytest.raises(asyncpg.DataError):
                await bob.fetchval("select $1::int", "seven")
        assert [(one.statement, one.answer) for one in race.steps[:-1]] == [
            ("select 'a'::text || 1::int", "a1"),
            ("select generate_series(1, 3)", "3 rows"),
            ("select 7, 8", "7, 8"),
            ("select 1 where false", "None"),
            ("select 1 / 0", "22012 DivisionByZeroError"),
        ]
        assert race.steps[-1].answer == "22000 DataError"
        assert [one.failed for one in race.steps] == [False] * 4 + [True] * 2

    with_two(stack, run)


def test_the_answer_to_commit_of_an_aborted_transaction_is_rollback(stack: servers.Stack) -> None:
    async def run(alice: Any, bob: Any) -> None:
        with timeline.race(alice=alice) as race:
            async with alice.transaction():
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await alice.execute("select 1 / 0")
        assert (race.steps[-1].statement, race.steps[-1].answer) == ("COMMIT", "ROLLBACK")

    with_two(stack, run)


def test_the_same_race_gives_the_same_picture_to_the_byte(stack: servers.Stack) -> None:
    async def run(alice: Any, bob: Any) -> None:
        pictures = []
        await alice.execute(PRICE, 100)
        for _ in range(2):
            with timeline.race(alice=alice, bob=bob) as race:
                async with alice.transaction(isolation="serializable"):
                    await alice.execute(PRICE, 100)
                    await bob.fetch(
                        "select * from seats where id = 1 "
                        "and label <> 'a label that is so long that it is wrapped'"
                    )
            drawn = io.BytesIO()
            draw(race).savefig(drawn, format="png", metadata={"Software": None})
            pictures.append(drawn.getvalue())
        assert pictures[0] == pictures[1]

    with_two(stack, run)


def test_others_are_not_recorded_and_asyncpg_is_put_back(stack: servers.Stack) -> None:
    async def run(alice: Any, bob: Any) -> None:
        before = [vars(asyncpg.Connection)[method] for method in METHODS]
        with timeline.race(alice=alice) as one:
            with timeline.race(bob=bob) as other:
                await alice.execute("select 1")
            await bob.execute("select 2")
        assert ([step.statement for step in one.steps], other.steps) == (["select 1"], [])
        assert before == [vars(asyncpg.Connection)[method] for method in METHODS]
        assert repr(other) == "(nobody sent a statement)"

    with_two(stack, run)


def test_what_cannot_be_recorded_is_refused(stack: servers.Stack) -> None:
    async def run(alice: Any, bob: Any) -> None:
        with (
            timeline.race(alice=alice),
            pytest.raises(ValueError, match="end that recording first"),
            timeline.race(again=alice),
        ):
            pass
        async with (
            asyncpg.create_pool(stack.postgres.dsn(), min_size=0, max_size=1) as pool,
            pool.acquire() as conn,
        ):
            with pytest.raises(TypeError, match=r"asyncpg\.connect\(\)"), timeline.race(alice=conn):
                pass

    with_two(stack, run)
