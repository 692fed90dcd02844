"""What is proven of each topic. A subclass for each, in its test module, names the topic.

Every task: the starter is not attempted, the solution passes, each wrong fix falls into its trap.
Every entry of the error index: raised live, its text is found in the ways in which users paste it.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import linecache
import multiprocessing
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from firedrill import course, drills, errors, progress, servers
from firedrill.checking import exercise_files
from firedrill.checking.drill import Drill, Task
from firedrill.checking.report import Report
from firedrill.expect import describe

from ..errors.pastes import PASTES
from ..site import engine
from .code import written

AT_ONCE = 4  # checks
JUDGED_AGAIN = 2  # times
Code = Callable[..., Any] | Path


def answers_of(slug: str) -> Iterator[ModuleType]:
    """The modules with a topic's wrong and right answers."""
    for name in ("warm_up", "wrong_fixes", "stretch"):
        if importlib.util.find_spec(f"tests.topics.{slug}.{name}"):
            yield importlib.import_module(f"tests.topics.{slug}.{name}")


def wrong_fixes(slug: str) -> dict[tuple[int, str], Code]:
    """For a task and a trap, code that falls into it."""
    return {key: code for module in answers_of(slug) for key, code in module.TRAPS.items()}


Answer = tuple[int, str | None, Code]  # task; trap, "" for none, None for a right answer


def other_answers(slug: str) -> tuple[tuple[Answer, ...], tuple[Answer, ...]]:
    """Further wrong fixes and right answers: those of each run, and those of `make answers`."""
    usual, more = [
        tuple(answer for module in answers_of(slug) for answer in getattr(module, name, ()))
        for name in ("OTHER_ANSWERS", "MORE_ANSWERS")
    ]
    return usual, more


def code_of(drill: Drill, task: Task, make: Callable[[str], str] = str) -> Code:
    """The last function that the task's cells define, with a source that `inspect` finds, as in a
    notebook; or their file."""
    solution = course.REPOSITORY / f"solutions/{drill.name}.ipynb"
    cells = json.loads(solution.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    tag = f"task-{task.number}"
    mine = "\n".join(
        "".join(cell["source"]) for cell in cells if tag in cell["metadata"].get("tags", [])
    )
    source, name = make(mine), f"<{drill.name} task {task.number} {make}>"
    if source.startswith("%%writefile "):
        return written(source.partition("\n")[2])
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {}
    imports = [line for line in code[0].splitlines() if line.startswith(("import ", "from "))]
    exec("\n".join(imports), namespace)
    before = set(namespace)
    exec(compile(source, name, "exec"), namespace)
    new = [value for key, value in namespace.items() if key not in before and callable(value)]
    found: Callable[..., Any] = new[-1]
    return found


@dataclass(frozen=True)
class Case:
    """A piece of code and what its check should say of it."""

    slug: str
    number: int  # of the task
    status: str
    trap: str = ""
    other: int = -1  # which of OTHER_ANSWERS

    @property
    def is_more(self) -> bool:
        """Tried by `make answers` only."""
        return self.other >= len(other_answers(self.slug)[0])

    @property
    def code(self) -> Code:
        if self.other >= 0:
            usual, more = other_answers(self.slug)
            return (usual + more)[self.other][2]
        if self.trap:
            return wrong_fixes(self.slug)[self.number, self.trap]
        drill = drills.open(self.slug)
        return code_of(drill, drill[self.number])


def solutions(slug: str) -> dict[str, Case]:
    tasks = drills.open(slug).tasks
    return {str(task.number): Case(slug, task.number, "passed") for task in tasks}


def trapped(slug: str) -> dict[str, Case]:
    return {
        f"{task.number}-{trap}": Case(slug, task.number, "failed", trap)
        for task in drills.open(slug).tasks
        for trap in task.traps
    }


def others(slug: str) -> dict[str, Case]:
    usual, more = other_answers(slug)
    return {
        f"{number}-{code.stem if isinstance(code, Path) else code.__name__}-{at}": Case(
            slug, number, "passed" if trap is None else "failed", trap or "", at
        )
        for at, (number, trap, code) in enumerate(usual + more)
    }


def checked(task: Task, code: Code) -> Report:
    async def main() -> Report:
        return await task.check(code)

    return asyncio.run(main())


Verdict = tuple[Report, bool]  # what the check says; is the task recorded as done?


def judge(case: Case) -> Verdict:
    """Check the case's code. A verdict that a busy machine did not allow is asked for again."""
    drill = drills.open(case.slug)
    task = drill[case.number]
    with (
        tempfile.TemporaryDirectory(prefix="firedrill-tests-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("FIREDRILL_PROGRESS", f"{folder}/progress.txt")
        for _ in range(JUDGED_AGAIN):
            report = checked(task, case.code)
            if report.status != "could not judge" or as_expected(case, report):
                break
        return report, (drill.name, task.number) in progress.done()


FAILED = ("failed", "could not judge")


def as_expected(case: Case, report: Report) -> bool:
    """Whether a wrong fix was seen to be wrong, for the reason that is expected."""
    return case.status == "failed" and report.traps == ((case.trap,) if case.trap else ())


def judged(case: Case, verdict: Verdict) -> Verdict:
    """A verdict that was given. Where the machine was too busy for one, the test says so.

    A wrong fix needs none: its check has seen what it should, and withholds it.
    """
    report, _ = verdict
    if report.status == "could not judge" and not as_expected(case, report):
        pytest.skip(report.reason)
    return verdict


class DrillProofs:
    slug: str

    @pytest.fixture(scope="class")
    @classmethod
    def verdict(cls, request: pytest.FixtureRequest) -> Iterator[Callable[[Case], Verdict]]:
        """Gives the verdict on a case. Most of a check is waiting, so several run at once."""
        if "PYTEST_XDIST_WORKER" in os.environ:  # several run at once anyway
            yield lambda case: judged(case, judge(case))
            return
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(AT_ONCE, mp_context=fork) as pool:
            futures = {
                case: pool.submit(judge, case)
                for item in request.session.items
                if getattr(item, "cls", None) is request.cls
                and (case := item.callspec.params.get("case"))  # type: ignore[attr-defined]
            }
            yield lambda case: judged(case, futures[case].result())
            for future in futures.values():
                future.cancel()

    def test_the_starter_is_not_attempted(self, task: Task) -> None:
        starter = code_of(drills.open(self.slug), task, exercise_files.as_exercise)
        report = checked(task, starter)
        assert report.status == "not attempted", report
        assert "not attempted" in repr(report)

    def test_the_solution_passes(self, case: Case, verdict: Callable[[Case], Verdict]) -> None:
        report, is_done = verdict(case)
        assert report.status == "passed", report
        assert is_done

    def test_a_wrong_fix_falls_into_its_own_trap(
        self, case: Case, verdict: Callable[[Case], Verdict]
    ) -> None:
        known = (case.number, case.trap) in wrong_fixes(self.slug)
        assert known, f"no wrong fix of this topic falls into {case.trap!r}"
        report, is_done = verdict(case)
        assert report.status in FAILED, report
        assert report.traps == (case.trap,), report
        assert any(not met for _, met, _ in report.criteria)
        if report.status == "failed":
            text = drills.open(self.slug)[case.number].traps[case.trap]
            assert text[:40] in repr(report)
        assert not is_done

    def test_other_answers_are_told_right_from_wrong(
        self, case: Case, verdict: Callable[[Case], Verdict]
    ) -> None:
        report, _ = verdict(case)
        assert report.status in (FAILED if case.status == "failed" else ("passed",)), report
        assert report.traps == ((case.trap,) if case.trap else ()), report

    def test_a_task_has_three_hints_and_two_traps(self, task: Task) -> None:
        assert len(task.hints) == 3
        assert all(len(hint) > 20 for hint in task.hints)
        assert len(task.traps) >= (1 if task.kind == "warm-up" else 2)
        kinds = [one.kind for one in drills.open(self.slug).tasks]
        assert 2 <= kinds.count("task") <= 4


# This line is the same whatever ran out of time: every entry is listed, and only a traceback
# tells which it was.
NO_TEXT = r"TimeoutError(: \(no text\))?\n?"

Raise = Callable[[servers.Stack], Awaitable[BaseException]]


def live_error(entry: errors.Entry) -> Raise:
    """The function that raises the entry's error, named as its id: in the topic's live_errors.py
    or in its module in tests/errors/live."""
    name = re.sub(r"\W+", "_", entry.id)
    for path in (f"tests.errors.live.{entry.slug}", f"tests.topics.{entry.slug}.live_errors"):
        if importlib.util.find_spec(path):
            raises: Raise | None = getattr(importlib.import_module(path), name, None)
            if raises:
                return raises
    raise AssertionError(f"no error is raised live for {entry.id!r}: write {name}()")


class ErrorProofs:
    slug: str

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls) -> Iterator[servers.Stack]:
        """One pair for all errors of a topic: a function leaves it as it was."""
        with servers.open() as stack:
            yield stack

    @pytest.fixture(scope="class")
    @classmethod
    def raised(cls, stack: servers.Stack) -> Callable[[errors.Entry], BaseException]:
        known: dict[str, BaseException] = {}

        def once(entry: errors.Entry) -> BaseException:
            if entry.id not in known:
                known[entry.id] = asyncio.run(live_error(entry)(stack))  # type: ignore[arg-type]
            return known[entry.id]

        return once

    def test_an_error_raised_live_is_found_however_it_is_pasted(
        self, entry: errors.Entry, raised: Callable[[errors.Entry], BaseException]
    ) -> None:
        missed = {}
        for paste, pasted in PASTES.items():
            text = pasted(raised(entry))
            found = [one.id for one in errors.find(text)]
            only_timed_out = re.fullmatch(NO_TEXT, text)
            if entry.id not in (found if only_timed_out else found[:1]):
                missed[paste] = (found, text)
        assert not missed

    @pytest.fixture(scope="class")
    @classmethod
    def in_javascript(cls) -> Iterator[engine.Answers]:
        with engine.started() as answers:
            yield answers

    @pytest.mark.skipif(engine.NODE is None, reason="there is no node")
    def test_the_site_gives_the_same_answer_to_it(
        self,
        entry: errors.Entry,
        raised: Callable[[errors.Entry], BaseException],
        in_javascript: engine.Answers,
    ) -> None:
        texts = [pasted(raised(entry)) for pasted in PASTES.values()]
        for text, answer in zip(texts, in_javascript(texts), strict=True):
            assert answer == engine.of_python(text), text

    def test_its_class_and_sqlstate_are_those_raised(
        self, entry: errors.Entry, raised: Callable[[errors.Entry], BaseException]
    ) -> None:
        error = raised(entry)
        assert describe(error).partition(":")[0].partition(" ")[0] in entry.classes
        assert (getattr(error, "sqlstate", None) or "") == entry.sqlstate
