"""A check survives whatever a learner's code does."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from firedrill import drills, servers
from firedrill.checking import pace
from firedrill.checking.drill import Task
from firedrill.checking.examination import Examination
from firedrill.checking.outcome import Outcome
from firedrill.checking.report import Report
from firedrill.checking.sandbox import Sandbox
from firedrill.servers import cache


def examined(code: Callable[..., Any], limit: float = 0.3) -> tuple[Outcome, float]:
    before = time.monotonic()
    outcome = asyncio.run(run(code, limit=limit))
    return outcome, time.monotonic() - before


async def run(code: Callable[..., Any], limit: float = 5.0, plain: bool = False) -> Outcome:
    with Sandbox() as sandbox:
        return await sandbox.run(code, limit=limit, plain=plain)


async def waits_for_ever() -> None:
    await asyncio.Event().wait()


async def swallows_cancellation() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling() > 3:  # type: ignore[union-attr]
                raise


def sleeps() -> None:
    time.sleep(3600)


async def computes() -> None:
    while True:
        sum(range(1000))


def waits_and_swallows() -> None:
    for _ in range(3):
        try:
            time.sleep(3600)
        except BaseException:
            continue


@pytest.mark.parametrize(
    "code",
    [waits_for_ever, swallows_cancellation, sleeps, computes, waits_and_swallows],
    ids=lambda code: code.__name__,
)
def test_code_that_does_not_end_is_ended(code: Callable[..., Any]) -> None:
    outcome, seconds = examined(code)
    assert outcome.hung
    assert str(outcome) == "still running after 0.3 s, and stopped"
    assert seconds < 5


@pytest.mark.parametrize(
    "error",
    [
        ValueError("seat 7"),
        SystemExit(3),
        asyncio.CancelledError(),
        ExceptionGroup("two", [OSError(1)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_code_that_raises_is_reported(error: BaseException) -> None:
    def raises() -> None:
        raise error

    outcome, _ = examined(raises)
    assert not outcome.returned
    assert not outcome.hung
    assert type(error).__name__ in str(outcome)


def test_an_interrupt_by_the_learner_ends_the_check() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examined(interrupted)


def test_a_coroutine_is_no_answer_where_a_plain_function_is_asked_for() -> None:
    async def dsn() -> str:
        return "postgresql://"

    outcome = asyncio.run(run(dsn, plain=True))
    assert "a coroutine came back" in str(outcome)


async def _awaited(task: Task, code: Any) -> Report:
    return await task.check(code)


def checked(task: Task, code: Any) -> Report:
    return asyncio.run(_awaited(task, code))


def test_an_interrupted_check_says_so_and_closes_its_servers() -> None:
    async def main() -> str:
        task = asyncio.ensure_future(_awaited(drills.open(1)[2], returns_nothing_late))
        await called.wait()
        task.cancel()
        return repr(await task)

    called = asyncio.Event()

    async def returns_nothing_late(dsn: str, patience: float) -> None:
        called.set()
        await asyncio.sleep(60)

    assert "interrupted" in asyncio.run(main())
    run = cache.folder() / "run"
    assert not [owner for owner in run.glob("*/owner") if owner.read_text() == f"{os.getpid()}\n"]


async def floods(dsn: str, patience: float) -> Any:
    return await asyncio.gather(*(asyncpg.connect(dsn) for _ in range(100)))


async def closes(dsn: str, patience: float) -> Any:
    connection = await asyncpg.connect(dsn)
    await connection.close()
    return connection


async def drops_the_shop(dsn: str, patience: float) -> Any:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "drop schema public cascade; select pg_terminate_backend(pid) from pg_stat_activity"
    )
    return connection


async def returns_nothing(dsn: str, patience: float) -> None:
    return None


@pytest.mark.parametrize(
    "code", [floods, closes, drops_the_shop, returns_nothing], ids=lambda code: code.__name__
)
def test_code_that_harms_its_servers_fails_and_leaves_none(
    code: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "BUSY", 1e9)  # it is to be judged, however busy this machine is
    with servers.open("embedded") as bystander:
        report = checked(drills.open("01")[2], code)
        assert report.status == "failed"
        assert bystander.postgres.answers()
        mine = [
            owner
            for owner in bystander.folder.parent.glob("*/owner")
            if owner.read_text() == f"{os.getpid()}\n"
        ]
        assert mine == [bystander.folder / "owner"]


def test_what_is_no_function_is_said() -> None:
    assert "got str" in repr(checked(drills.open("01")[1], "postgresql://"))


def test_a_check_that_names_an_unknown_trap_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Examination(print, {}, Sandbox()).trap("unknown")
