"""What a learner has done: a text file, a line for each lesson read and each task passed.

    01_connecting read 2026-11-30
    01_connecting 2 2026-11-30 340 1        task 2, passed after 340 s in the notebook, with 1 hint

Copy the file to take it along.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from . import course


@dataclass(frozen=True)
class Pass:
    """`seconds` since the exercise was opened in the notebook; `hints` that were shown."""

    exercise: str
    task: int
    date: str = ""
    seconds: int | None = None
    hints: int | None = None


def path() -> Path:
    """`$FIREDRILL_PROGRESS` (the tests have their own), or progress.txt."""
    return Path(os.environ.get("FIREDRILL_PROGRESS") or course.REPOSITORY / "progress.txt")


def passes() -> dict[tuple[str, int], Pass]:
    """By exercise and task. Lines that say nothing of the kind are passed over."""
    found = {}
    for exercise, what, *rest in _lines():
        if what.isdigit():
            date, seconds, hints, *_ = [*rest, "", "", ""]
            found[exercise, int(what)] = Pass(
                exercise, int(what), date, _number(seconds), _number(hints)
            )
    return found


def done() -> set[tuple[str, int]]:
    """Pairs of an exercise's name and the number of a task that was passed."""
    return {*passes()}


def read() -> set[str]:
    """The names of the lessons that were run to their end."""
    return {lesson for lesson, what, *_ in _lines() if what == "read"}


def record(exercise: str, task: int, seconds: float = 0, hints: int = 0) -> None:
    if (exercise, task) not in done():
        _write(f"{exercise} {task} {datetime.date.today()} {seconds:.0f} {hints}")


def record_reading(lesson: str) -> None:
    if lesson not in read():
        _write(f"{lesson} read {datetime.date.today()}")


def forget(exercise: str) -> None:
    """Its passes. The mark that the lesson was read stays."""
    if path().exists():
        kept = [
            line
            for line in path().read_text(encoding="utf-8").splitlines(keepends=True)
            if line.split()[:1] != [exercise] or line.split()[1:2] == ["read"]
        ]
        path().write_text("".join(kept), encoding="utf-8")


def _lines() -> list[list[str]]:
    if not path().is_file():
        return []
    lines = [line.split() for line in path().read_text(encoding="utf-8").splitlines()]
    return [words for words in lines if len(words) > 1]


def _number(word: str) -> int | None:
    return int(word) if word.isdigit() else None


def _write(line: str) -> None:
    with open(path(), "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
