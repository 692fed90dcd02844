"""Every task is proven: the starter is not attempted, the solution passes, each wrong fix falls into its own trap.

And a check survives whatever a learner's code does.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import linecache
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from firedrill import drills, notebooks, servers
from firedrill.drills import attempt, progress
from firedrill.drills.drill import Drill, Examination, Task
from firedrill.servers import cache

ROOT = Path(__file__).parents[1]
TASKS = [(drill, task) for drill in drills.DRILLS.values() for task in drill.tasks]


def attempts(drill: Drill) -> dict[tuple[int, str], Callable[..., Any]]:
    module = importlib.import_module(f"tests.attempts.{drill.name.partition('_')[2]}")
    traps: dict[tuple[int, str], Callable[..., Any]] = module.TRAPS
    return traps


def more_attempts(drill: Drill) -> tuple[tuple[int, str | None, Callable[..., Any]], ...]:
    module = importlib.import_module(f"tests.attempts.{drill.name.partition('_')[2]}")
    more: tuple[tuple[int, str | None, Callable[..., Any]], ...] = getattr(module, "MORE", ())
    return more


def code_of(drill: Drill, task: Task, make: Callable[[str], str] = str) -> Callable[..., Any]:
    """The last function that the task's cells define, with a source that `inspect` finds, as in a notebook."""
    cells = json.loads((ROOT / f"solutions/{drill.name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    mine = "\n".join("".join(cell["source"]) for cell in cells if f"task-{task.number}" in cell["metadata"].get("tags", []))
    source, name = make(mine), f"<{drill.name} task {task.number} {make}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {}
    imports = "\n".join(line for line in code[0].splitlines() if line.startswith(("import ", "from ")))
    exec(imports, namespace)
    before = set(namespace)
    exec(compile(source, name, "exec"), namespace)
    found: Callable[..., Any] = [value for key, value in namespace.items() if key not in before and callable(value)][-1]
    return found


@pytest.mark.parametrize(("drill", "task"), TASKS, ids=lambda part: getattr(part, "name", getattr(part, "title", "")))
def test_the_starter_is_not_attempted_and_the_solution_passes(drill: Drill, task: Task) -> None:
    report = asyncio.run(task.check(code_of(drill, task, notebooks.as_exercise)))
    assert report.status == "not attempted", report
    assert "not attempted" in repr(report)
    assert (drill.name, task.number) not in progress.done()

    report = asyncio.run(task.check(code_of(drill, task)))
    assert report.status == "passed", report
    assert (drill.name, task.number) in progress.done()
    progress.forget(drill.name)


@pytest.mark.parametrize(("drill", "task", "trap"), [(drill, task, trap) for drill, task in TASKS for trap in task.traps],
                         ids=lambda part: part if isinstance(part, str) else getattr(part, "number", None))
def test_a_wrong_fix_falls_into_its_own_trap(drill: Drill, task: Task, trap: str) -> None:
    assert (task.number, trap) in attempts(drill), f"no wrong fix in tests/attempts falls into {trap!r}"
    report = asyncio.run(task.check(attempts(drill)[task.number, trap]))
    assert report.status == "failed"
    assert report.traps == (trap,), report
    assert any(not met for _, met, _ in report.criteria)
    assert task.traps[trap][:40] in repr(report)


@pytest.mark.parametrize(("drill", "number", "trap", "code"), [(drill, *more) for drill in drills.DRILLS.values()
                                                              for more in more_attempts(drill)],
                         ids=lambda part: getattr(part, "__name__", getattr(part, "name", str(part))))
def test_more_attempts_fall_into_their_traps_and_other_answers_pass(drill: Drill, number: int, trap: str | None,
                                                                    code: Callable[..., Any]) -> None:
    report = asyncio.run(drill[number].check(code))
    progress.forget(drill.name)
    assert report.status == ("failed" if trap else "passed"), report
    assert report.traps == ((trap,) if trap else ()), report


@pytest.mark.parametrize(("drill", "task"), TASKS, ids=lambda part: getattr(part, "name", getattr(part, "title", "")))
def test_a_task_has_three_hints_and_two_traps(drill: Drill, task: Task) -> None:
    assert len(task.hints) == 3
    assert all(len(hint) > 20 for hint in task.hints)
    assert len(task.traps) >= 2
    assert 2 <= len(drill.tasks) <= 4


# What a learner's code may do

def examined(code: Callable[..., Any], limit: float = 0.3) -> tuple[attempt.Outcome, float]:
    before = time.monotonic()
    outcome = asyncio.run(attempt.run(code, limit=limit))
    return outcome, time.monotonic() - before


async def waits_for_ever() -> None:
    await asyncio.Event().wait()


async def swallows_cancellation() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling() > 3:     # type: ignore[union-attr]
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


@pytest.mark.parametrize("code", [waits_for_ever, swallows_cancellation, sleeps, computes, waits_and_swallows],
                         ids=lambda code: code.__name__)
def test_code_that_does_not_end_is_ended(code: Callable[..., Any]) -> None:
    outcome, seconds = examined(code)
    assert outcome.hung
    assert str(outcome) == "still running after 0.3 s, and stopped"
    assert seconds < 5


@pytest.mark.parametrize("error", [ValueError("seat 7"), SystemExit(3), asyncio.CancelledError(),
                                   ExceptionGroup("two", [OSError(1)])], ids=lambda error: type(error).__name__)
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

    outcome = asyncio.run(attempt.run(dsn, plain=True))
    assert "a coroutine came back" in str(outcome)


def test_an_interrupted_check_says_so_and_closes_its_servers() -> None:
    async def main() -> str:
        task = asyncio.ensure_future(drills.open(1)[2].check(returns_nothing_late))
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
    await connection.execute("drop schema public cascade; select pg_terminate_backend(pid) from pg_stat_activity")
    return connection


async def returns_nothing(dsn: str, patience: float) -> None:
    return None


@pytest.mark.parametrize("code", [floods, closes, drops_the_shop, returns_nothing], ids=lambda code: code.__name__)
def test_code_that_harms_its_servers_fails_and_leaves_none(code: Callable[..., Any]) -> None:
    with servers.open("embedded") as bystander:
        report = asyncio.run(drills.open("01")[2].check(code))
        assert report.status == "failed"
        assert bystander.postgres.answers()
        mine = [owner for owner in bystander.folder.parent.glob("*/owner") if owner.read_text() == f"{os.getpid()}\n"]
        assert mine == [bystander.folder / "owner"]


def test_what_is_no_function_is_said() -> None:
    assert "got str" in repr(asyncio.run(drills.open("01")[1].check("postgresql://")))      # type: ignore[arg-type]


def test_a_check_that_names_an_unknown_trap_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Examination(print, {}).trap("unknown")


# Progress, hints, reset

@pytest.fixture
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FIREDRILL_PROGRESS", str(tmp_path / "progress.txt"))
    return tmp_path / "progress.txt"


def test_progress_is_a_line_for_each_task_and_survives_nonsense(own_progress: Path) -> None:
    own_progress.write_text("\nwhat is this\n01_connecting x\n")
    progress.record("01_connecting", 2)
    progress.record("01_connecting", 2)
    assert progress.done() == {("01_connecting", 2)}
    assert own_progress.read_text().count("01_connecting 2 ") == 1
    assert "–✔–" in progress.summary()
    assert "1 of" in progress.summary()
    assert "✔  Task 2" in repr(drills.open("01_connecting"))
    progress.forget("01_connecting")
    assert progress.done() == set()
    assert "what is this" in own_progress.read_text()


def test_hints_come_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    task = drills.open("1")[3]
    for _ in range(4):
        task.hint()
    task.hint(1)
    shown = [line.split(".")[0].strip() for line in capsys.readouterr().out.splitlines() if "Hint" in line]
    assert shown == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3", "Hint 1 of 3"]


def test_reset_restores_the_exercise_and_keeps_the_learners(own_progress: Path, monkeypatch: pytest.MonkeyPatch,
                                                            tmp_path: Path) -> None:
    (tmp_path / "solutions").mkdir()
    (tmp_path / "exercises").mkdir()
    solution = (ROOT / "solutions/01_connecting.ipynb").read_text(encoding="utf-8")
    (tmp_path / "solutions/01_connecting.ipynb").write_text(solution, encoding="utf-8")
    (tmp_path / "exercises/01_connecting.ipynb").write_text("mine")
    monkeypatch.setattr(notebooks, "REPOSITORY", tmp_path)
    progress.record("01_connecting", 1)
    for round_ in (1, 2):
        said = drills.reset("1")
        assert f"exercises/kept/01_connecting-{round_}.ipynb" in said
    assert (tmp_path / "exercises/kept/01_connecting-1.ipynb").read_text() == "mine"
    restored = (tmp_path / "exercises/01_connecting.ipynb").read_text(encoding="utf-8")
    assert restored == (ROOT / "exercises/01_connecting.ipynb").read_text(encoding="utf-8")
    assert progress.done() == set()


def test_a_drill_that_does_not_exist_is_named() -> None:
    with pytest.raises(servers.Unavailable, match=r"There is no exercise '99'.*01_connecting"):
        drills.open("99")
    with pytest.raises(IndexError, match="tasks 1 to 3"):
        drills.open("01")[4]
