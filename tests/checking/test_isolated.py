"""A learner's function in another process: it has what it names, and nothing of what it keeps
here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from firedrill.checking import isolated
from firedrill.checking.outcome import Outcome

LIMIT = 7
seen: list[int] = []
settling = asyncio.Lock()


class Late(Exception):
    pass


def doubled(number: int) -> int:
    return number * 2 if number < LIMIT else doubled(number - 1)


async def names_much(number: int) -> int:
    if number > 100:
        raise Late(f"{number} is late")
    await asyncio.sleep(0)
    return doubled(number) + LIMIT


async def remembers(number: int) -> int:
    seen.append(number)
    return len(seen)


async def locks(_: int) -> bool:
    if settling.locked():
        return False
    async with settling:
        return True


def blocks(_: int) -> None:
    time.sleep(60)


async def leaves(_: int) -> None:
    import os

    os._exit(1)


def called(function: Callable[..., Any], *arguments: int) -> list[Outcome]:
    async def main() -> list[Outcome]:
        async with isolated.process(function) as there:
            return [await there.run(str(argument), limit=0.5) for argument in arguments]

    return asyncio.run(main())


def test_it_has_the_modules_constants_functions_and_classes_that_it_names() -> None:
    right, wrong = called(names_much, 3, 101)
    assert right.value == 13
    assert "Late: 101 is late" in str(wrong.error)


def test_what_it_keeps_in_memory_stays_there() -> None:
    assert [one.value for one in called(remembers, 5, 6)] == [1, 2]
    assert seen == []


def test_a_lock_of_this_process_is_another_one_there() -> None:
    async def main() -> object:
        async with isolated.process(locks) as there, settling:
            return (await there.run("0")).value

    assert asyncio.run(main()) is True


@pytest.mark.parametrize("function", [blocks, leaves], ids=lambda function: function.__name__)
def test_whatever_it_does_there_comes_back_as_an_outcome(function: Callable[..., Any]) -> None:
    [outcome] = called(function, 0)
    assert not outcome.returned


def test_what_has_no_source_text_is_refused() -> None:
    with pytest.raises(TypeError):
        called(print)
