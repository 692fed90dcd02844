"""Every task is proven: the starter is not attempted, the solution passes, each wrong fix falls into its own trap.

A class for each drill, so that `make test` gives them to different processes: they take long, most of it in waiting.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firedrill import drills, notebooks
from firedrill.drills import progress
from firedrill.drills.drill import Drill, Task

from .attempts import written

ROOT = Path(__file__).parents[1]


def attempts(drill: Drill) -> dict[tuple[int, str], Callable[..., Any]]:
    module = importlib.import_module(f"tests.attempts.{drill.name.partition('_')[2]}")
    traps: dict[tuple[int, str], Callable[..., Any]] = module.TRAPS
    return traps


def more_attempts(drill: Drill) -> tuple[tuple[int, str | None, Callable[..., Any]], ...]:
    """Further wrong fixes with their traps, and further right answers, with None."""
    module = importlib.import_module(f"tests.attempts.{drill.name.partition('_')[2]}")
    more: tuple[tuple[int, str | None, Callable[..., Any]], ...] = getattr(module, "MORE", ())
    return more


def code_of(drill: Drill, task: Task, make: Callable[[str], str] = str) -> Callable[..., Any] | Path:
    """The last function that the task's cells define, with a source that `inspect` finds, as in a notebook; or their file."""
    cells = json.loads((ROOT / f"solutions/{drill.name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    mine = "\n".join("".join(cell["source"]) for cell in cells if f"task-{task.number}" in cell["metadata"].get("tags", []))
    source, name = make(mine), f"<{drill.name} task {task.number} {make}>"
    if source.startswith("%%writefile "):
        return written(source.partition("\n")[2])
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {}
    imports = "\n".join(line for line in code[0].splitlines() if line.startswith(("import ", "from ")))
    exec(imports, namespace)
    before = set(namespace)
    exec(compile(source, name, "exec"), namespace)
    found: Callable[..., Any] = [value for key, value in namespace.items() if key not in before and callable(value)][-1]
    return found


@pytest.fixture(autouse=True)
def _progress_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lesson that runs beside shows the exercise's tasks."""
    monkeypatch.setenv("FIREDRILL_PROGRESS", str(tmp_path / "progress.txt"))


class OfADrill:
    drill: Drill

    def test_the_starter_is_not_attempted_and_the_solution_passes(self, task: Task) -> None:
        report = asyncio.run(task.check(code_of(self.drill, task, notebooks.as_exercise)))
        assert report.status == "not attempted", report
        assert "not attempted" in repr(report)
        assert (self.drill.name, task.number) not in progress.done()

        report = asyncio.run(task.check(code_of(self.drill, task)))
        assert report.status == "passed", report
        assert (self.drill.name, task.number) in progress.done()

    def test_a_wrong_fix_falls_into_its_own_trap(self, task: Task, trap: str) -> None:
        assert (task.number, trap) in attempts(self.drill), f"no wrong fix in tests/attempts falls into {trap!r}"
        report = asyncio.run(task.check(attempts(self.drill)[task.number, trap]))
        assert report.status == "failed"
        assert report.traps == (trap,), report
        assert any(not met for _, met, _ in report.criteria)
        assert task.traps[trap][:40] in repr(report)

    def test_more_attempts_fall_into_their_traps_and_other_answers_pass(
            self, number: int, trap: str | None, code: Callable[..., Any] | Path) -> None:
        report = asyncio.run(self.drill[number].check(code))
        assert report.status == ("passed" if trap is None else "failed"), report
        assert report.traps == ((trap,) if trap else ()), report

    def test_a_task_has_three_hints_and_two_traps(self, task: Task) -> None:
        assert len(task.hints) == 3
        assert all(len(hint) > 20 for hint in task.hints)
        assert len(task.traps) >= 2
        assert 2 <= len(self.drill.tasks) <= 4
        assert drills.open(self.drill.name) is self.drill


for name in drills.MODULES:
    drill = drills.open(name)
    without = {} if more_attempts(drill) else {"test_more_attempts_fall_into_their_traps_and_other_answers_pass": None}
    globals()[f"Test_{name}"] = type(f"Test_{name}", (OfADrill,), {"drill": drill, **without})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    assert metafunc.cls
    tasks = metafunc.cls.drill.tasks
    if "code" in metafunc.fixturenames:
        metafunc.parametrize(("number", "trap", "code"), more_attempts(metafunc.cls.drill),
                             ids=[code.stem if isinstance(code, Path) else code.__name__
                                  for _, _, code in more_attempts(metafunc.cls.drill)])
    elif "trap" in metafunc.fixturenames:
        metafunc.parametrize(("task", "trap"), [pytest.param(task, trap, id=f"{task.number}-{trap}")
                                                for task in tasks for trap in task.traps])
    else:
        metafunc.parametrize("task", tasks, ids=[str(task.number) for task in tasks])
