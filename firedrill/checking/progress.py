"""Which tasks are done: a text file in the repository, a line for each. Copy it to take it along."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from .. import course


def path() -> Path:
    """`$FIREDRILL_PROGRESS` (the tests have one of their own), or progress.txt."""
    return Path(os.environ.get("FIREDRILL_PROGRESS") or course.REPOSITORY / "progress.txt")


def done() -> set[tuple[str, int]]:
    """Pairs of an exercise's name and a task's number. Lines that say nothing of the kind are passed over."""
    if not path().exists():
        return set()
    lines = [line.split() for line in path().read_text(encoding="utf-8").splitlines()]
    return {(words[0], int(words[1])) for words in lines if len(words) > 1 and words[1].isdigit()}


def record(exercise: str, task: int) -> None:
    if (exercise, task) not in done():
        with open(path(), "a", encoding="utf-8") as file:
            file.write(f"{exercise} {task} {datetime.date.today()}\n")


def forget(exercise: str) -> None:
    if path().exists():
        kept = [
            line
            for line in path().read_text(encoding="utf-8").splitlines(keepends=True)
            if line.split()[:1] != [exercise]
        ]
        path().write_text("".join(kept), encoding="utf-8")


def summary() -> str:
    from .. import drills as all_drills

    finished, drills = done(), [all_drills.open(lesson.name) for lesson in course.exercises()]
    lines = []
    for drill in drills:
        marks = "".join(
            "✔" if (drill.name, task.number) in finished else "–" for task in drill.tasks
        )
        lines.append(f"{marks:<5}exercises/{drill.name}.ipynb: {drill.title}")
    total = sum(len(drill.tasks) for drill in drills)
    solved = sum((drill.name, task.number) in finished for drill in drills for task in drill.tasks)
    return "\n".join([*lines, f"{solved} of {total} tasks done, kept in {path().name}"])
