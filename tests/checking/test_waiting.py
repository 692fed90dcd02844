"""`until`, the checks' only loop with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from firedrill.checking import waiting
from firedrill.checking.waiting import until


@pytest.fixture
def missed() -> Iterator[list[str]]:
    """What has been waited for in vain."""
    found: list[str] = []
    token = waiting.expired.set(found)
    yield found
    waiting.expired.reset(token)


def test_it_returns_the_conditions_value_as_soon_as_it_is_true(missed: list[str]) -> None:
    seen = iter([0, None, "", "a row"])
    before = time.monotonic()
    assert asyncio.run(until(lambda: next(seen), "there is a row", 60)) == "a row"
    assert time.monotonic() - before < 10
    assert missed == []


def test_a_condition_may_be_async(missed: list[str]) -> None:
    async def answers() -> int:
        await asyncio.sleep(0)
        return 7

    assert asyncio.run(until(answers, "it answers")) == 7


@pytest.mark.parametrize("last", [None, 0, []], ids=repr)
def test_in_vain_it_returns_the_last_value_and_the_check_learns_of_it(
    missed: list[str], last: object
) -> None:
    before = time.monotonic()
    assert asyncio.run(until(lambda: last, "there is a row", 0.2)) == last
    assert time.monotonic() - before >= 0.2
    assert missed == ["there is a row"]


def test_it_looks_once_more_after_the_deadline(missed: list[str]) -> None:
    """The machine may have slept between two looks."""
    ready = False

    def condition() -> bool:
        nonlocal ready
        seen, ready = ready, True
        if not seen:
            time.sleep(0.3)
        return seen

    assert asyncio.run(until(condition, "it is ready", 0.1)) is True
    assert missed == []


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def main() -> None:
        done: list[int] = []
        task = asyncio.create_task(asyncio.sleep(0.05))
        task.add_done_callback(lambda _: done.append(1))
        assert await until(lambda: done, "the task has ended")

    asyncio.run(main())


def test_what_it_waits_for_is_known_while_it_waits_and_no_longer() -> None:
    def breaks() -> bool:
        seen.append([*doing])
        raise OSError("gone")

    seen: list[list[str]] = []
    doing = ["something else"]
    token = waiting.activity.set(doing)
    try:
        with pytest.raises(OSError, match="gone"):
            asyncio.run(until(breaks, "PostgreSQL answers"))
    finally:
        waiting.activity.reset(token)
    assert seen == [["something else", "PostgreSQL answers"]]
    assert doing == ["something else"]
