"""A whole check, of a task that is made here: what it leaves behind, and when it cannot judge."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from firedrill.checking import pace
from firedrill.checking.drill import Task
from firedrill.checking.examination import Examination
from firedrill.checking.report import Report
from firedrill.checking.waiting import until

Check = Callable[[Examination], Awaitable[None]]


left: list[asyncio.Task[Any]] = []  # tasks that the learner's code has begun


def checked(check: Check, code: Callable[..., Any]) -> tuple[Report, int]:
    """The report on `code`, and how many of `left` are still running when it comes."""
    module = ModuleType("a_task")
    module.TITLE, module.HINTS, module.TRAPS = "a task", ("", "", ""), {}  # type: ignore[attr-defined]
    module.check = check  # type: ignore[attr-defined]

    async def main() -> tuple[Report, int]:
        report = await Task(module, 1, "02_pools").check(code)
        running = sum(not task.done() for task in left)
        for _ in range(4 if running else 0):  # or the loop could not end, and the test would hang
            for task in left:
                task.cancel()
            await asyncio.sleep(0)
        gc.collect()  # a task or future that nobody has looked at complains now
        return report, running

    left.clear()
    return asyncio.run(main())


async def runs_it(exam: Examination) -> None:
    outcome = await exam.run()
    exam.criterion("it returns", outcome.returned, str(outcome))


async def leaves_a_task() -> None:
    left.append(asyncio.create_task(asyncio.Event().wait()))


async def leaves_a_task_of_a_task() -> None:
    async def another() -> None:
        left.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.Event().wait()

    left.append(asyncio.create_task(another()))
    await asyncio.sleep(0)


async def leaves_a_stubborn_task() -> None:
    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    left.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(0)


async def leaves_a_task_that_starts_another_when_it_is_cancelled() -> None:
    async def restarts() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append(asyncio.create_task(asyncio.Event().wait()))

    left.append(asyncio.create_task(restarts()))
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    "code",
    [
        leaves_a_task,
        leaves_a_task_of_a_task,
        leaves_a_stubborn_task,
        leaves_a_task_that_starts_another_when_it_is_cancelled,
    ],
    ids=lambda code: code.__name__,
)
def test_tasks_that_are_left_behind_have_ended_with_the_check(code: Callable[..., Any]) -> None:
    report, running = checked(runs_it, code)
    assert report.status == "passed", report
    assert left
    assert running == 0


async def leaves_errors() -> None:
    async def raises() -> None:
        raise OSError("nobody looks at this")

    asyncio.create_task(raises())  # noqa: RUF006  nobody keeps it
    asyncio.ensure_future(raises())  # noqa: RUF006
    asyncio.get_running_loop().create_future().set_exception(OSError("nor at this"))
    left.append(asyncio.create_task(raises()))
    await asyncio.sleep(0.01)


def test_errors_that_nobody_looked_at_are_no_noise_for_the_learner(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "asyncio"):
        report, _ = checked(runs_it, leaves_errors)
        left.clear()
        gc.collect()
    assert report.status == "passed", report
    assert "never retrieved" not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_another_error_of_the_event_loop_is_still_heard(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_a_callback() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0.01)

    checked(runs_it, breaks_a_callback)
    assert "ZeroDivisionError" in caplog.text


# Calls at the same time


async def waits_a_little() -> str:
    await asyncio.sleep(0.1)
    return "well"


async def blocks() -> None:
    await asyncio.sleep(0)
    time.sleep(3600)


@pytest.mark.parametrize("first", [waits_a_little, blocks], ids=lambda code: code.__name__)
def test_one_call_that_blocks_the_loop_does_not_end_the_others(first: Callable[..., Any]) -> None:
    async def check(exam: Examination) -> None:
        both = (first, blocks if first is waits_a_little else waits_a_little)
        running = {code: exam.start(of=code, limit=0.3 if code is blocks else 5) for code in both}
        outcomes = {code: await call for code, call in running.items()}
        exam.criterion("one blocks", outcomes[blocks].hung, str(outcomes[blocks]))
        well = outcomes[waits_a_little]
        exam.criterion("the other returns", well.value == "well", str(well))
        exam.criterion("the loop goes on", (await exam.run()).value == "well", "")

    report, _ = checked(check, waits_a_little)
    assert report.status == "passed", report


# A busy machine


def timed(met: bool) -> Check:
    async def check(exam: Examination) -> None:
        exam.criterion("in time", met, "after 2 s", timed=True)

    return check


def untimed(met: bool) -> Check:
    async def check(exam: Examination) -> None:
        exam.criterion("right", met, "wrong")

    return check


async def waits_in_vain(exam: Examination) -> None:
    came = await until(lambda: False, "it comes", 0.05)
    exam.criterion("it comes", came, "it did not")


async def runs_into_its_limit(exam: Examination) -> None:
    outcome = await exam.run(limit=0.05)
    exam.criterion("it returns", outcome.returned, str(outcome))


JUDGED = [
    pytest.param(timed(False), "could not judge", "failed", id="not in time"),
    pytest.param(waits_in_vain, "could not judge", "failed", id="waited for in vain"),
    pytest.param(runs_into_its_limit, "could not judge", "failed", id="ran into its limit"),
    pytest.param(untimed(False), "failed", "failed", id="wrong"),
    pytest.param(timed(True), "passed", "passed", id="in time"),
    pytest.param(untimed(True), "passed", "passed", id="right"),
]


@pytest.mark.parametrize(("check", "on_a_busy_machine", "else_"), JUDGED)
@pytest.mark.parametrize("is_busy", [True, False], ids=["busy", "idle"])
def test_a_busy_machine_withholds_what_was_about_time_and_no_pass(
    monkeypatch: pytest.MonkeyPatch, check: Check, on_a_busy_machine: str, else_: str, is_busy: bool
) -> None:
    """The reading of the machine is real; the threshold is put below or above it."""
    monkeypatch.setattr(pace, "BUSY", 0.9 if is_busy else 1e9)
    report, _ = checked(check, waits_a_little)
    assert report.status == (on_a_busy_machine if is_busy else else_), report
    if report.status == "could not judge":
        assert "too busy to judge" in repr(report)
        assert "work took" in repr(report)


@pytest.fixture
def crowd() -> Iterator[None]:
    """Four processes want the processor to which this thread is bound."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    command = [sys.executable, "-S", "-c", "print(flush=True)\nwhile True: pass"]
    busy = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    try:
        for one in busy:
            assert one.stdout
            assert one.stdout.readline() == b"\n"  # it has begun
        yield
    finally:
        for one in busy:
            one.kill()
            one.communicate()
        os.sched_setaffinity(0, allowed)


@pytest.mark.skipif(not pace.SCHEDSTAT.exists(), reason="this system does not tell the waits")
def test_a_crowded_processor_is_seen_as_such(crowd: None) -> None:
    def works() -> None:
        end = time.process_time() + 0.15
        while time.process_time() < end:
            pass

    async def check(exam: Examination) -> None:
        outcome = await exam.run()
        quick = exam.in_time(outcome.seconds, 0.2)
        exam.criterion("0.15 s of work take at most 0.2 s", quick, f"{outcome.seconds:.1f} s")

    report, _ = checked(check, works)
    assert report.status == "could not judge", report
