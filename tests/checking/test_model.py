"""After passing: the learner's figures and the model's, and the model answer of the one task."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from firedrill import course, drills, progress
from firedrill.checking import model
from firedrill.checking.report import Report

from ..topics.proofs import code_of

TASKS = [
    pytest.param(lesson.name, task.number, id=f"{lesson.slug}-{task.number}")
    for lesson in course.exercises()
    for task in drills.open(lesson.slug).tasks
]


@pytest.mark.parametrize(("name", "number"), TASKS)
def test_a_task_has_its_model_answer(name: str, number: int) -> None:
    answer = model.answer(name, number)
    assert "###" not in answer.answer
    assert answer.text
    if not answer.answer.startswith("%%writefile"):
        compile(answer.answer, name, "exec")


@pytest.mark.parametrize("lesson", course.exercises(), ids=lambda lesson: lesson.slug)
def test_its_figures_are_those_of_this_check(lesson: Any) -> None:
    assert not model.outdated(lesson.name), f"run `make notebooks NAMES={lesson.name}`"


def checked(exercise: str, number: int, patch: pytest.MonkeyPatch, folder: Path) -> Report:
    drill = drills.open(exercise)
    task = drill[number]
    patch.chdir(folder)

    async def main() -> Report:
        for _ in range(3):  # a busy machine may allow no verdict
            report = await task.check(code_of(drill, task))
            if report.status != "could not judge":
                break
        return report

    report = asyncio.run(main())
    assert report.status == "passed", report
    return report


def test_a_pass_shows_the_figures_beside_those_of_the_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    report = checked("02_pools", 2, monkeypatch, tmp_path)
    assert report.figures is not None
    assert ("connections opened", "2", "2") in report.figures
    by_name = {what: (mine, models) for what, mine, models in report.figures}
    assert by_name["round trips"][0] == by_name["round trips"][1] != "0"
    for shown in (repr(report), report._as_html()):
        assert "round trips" in shown
        assert "drill[2].solution()" in shown


def test_a_stored_output_of_a_solution_has_no_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "solutions"
    folder.mkdir()
    report = checked("02_pools", 2, monkeypatch, folder)
    assert report.figures is None
    assert "round trips" not in repr(report) + report._as_html()
    assert not progress.done()


def test_figures_of_another_answer_or_check_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored = json.loads(model.FIGURES.read_text(encoding="utf-8"))
    stored["02_pools"]["2"]["of"] = "another"
    monkeypatch.setattr(model, "FIGURES", tmp_path / "figures.json")
    model.FIGURES.write_text(model.as_text(stored), encoding="utf-8")
    assert model.figures("02_pools", 1)
    assert not model.figures("02_pools", 2)
    assert model.outdated("02_pools")


def test_figures_of_several_runs_are_a_range_until_the_check_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(model, "FIGURES", tmp_path / "figures.json")
    monkeypatch.setenv(model.MEASURE, "02_pools")
    for trips in (30, 20, 25):
        model.note("02_pools", 1, {"round trips": trips})
    model.note("03_exhaustion", 1, {"round trips": 1})  # this one is not measured
    assert model.figures("02_pools", 1) == {"round trips": (20, 30)}
    assert not model.figures("03_exhaustion", 1)
    monkeypatch.setattr(model, "stamp", lambda name, number: "changed")
    assert not model.figures("02_pools", 1)
    model.note("02_pools", 1, {"round trips": 7})
    assert model.figures("02_pools", 1) == {"round trips": (7, 7)}


def test_the_model_answer_is_shown_after_passing_or_when_spoilt() -> None:
    task = drills.open("02_pools")[2]
    text = repr(task.solution())
    assert "not passed" in text.replace("\n", " ")
    assert "solution(spoil=True)" in text
    assert "acquire" not in text
    assert "pool.acquire(timeout=0.3)" in repr(task.solution(spoil=True))
    progress.record("02_pools", 2)
    shown = task.solution()
    assert isinstance(shown, model.Model)
    assert "pool.acquire(timeout=0.3)" in repr(shown)
    assert "asyncio.wait(requests)" not in repr(shown)  # that is task 3
    assert shown._repr_markdown_().startswith("```python\nasync def open_box_office")


def test_neither_needs_the_folder_solutions() -> None:
    """They are data of the package: see also test_without_solutions."""
    for file in (model.MODELS, model.FIGURES):
        assert file.is_file()
        assert os.path.commonpath([file, model.TOPICS]) == str(model.TOPICS)
