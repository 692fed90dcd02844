"""`firedrill progress`: where a learner stands, as text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from . import course, drills, progress


def as_text() -> str:
    read = progress.read()
    lines = []
    for lesson in course.lessons():
        marks = "".join(
            "✔" if row["passed"] else "–" for row in _tasks() if row["lesson"] == lesson
        )
        folder = "exercises" if marks else "notebooks"
        state = "read" if lesson.name in read else ""
        lines.append(f"{marks:<5}{state:<6}{folder}/{lesson.name}.ipynb: {lesson.title}")
    tasks = _tasks()
    next_one = next((one for one in course.lessons() if not _is_finished(one)), None)
    if next_one:
        last = len(course.lessons()) - 1
        lines.append(f"Next: lesson {next_one.number} of {last}, notebooks/{next_one.name}.ipynb")
    passed = sum(bool(row["passed"]) for row in tasks)
    lines.append(f"{passed} of {len(tasks)} tasks passed, kept in {progress.path().name}")
    return "\n".join(lines)


def rows() -> list[dict[str, Any]]:
    """One for each task of the course, warm-ups and stretches included."""
    passed = progress.passes()
    made = []
    for lesson in course.exercises():
        for task in drills.open(lesson.slug).tasks:
            one = passed.get((lesson.name, task.number))
            made.append(
                {
                    "lesson": lesson,
                    "task": task.number,
                    "kind": task.kind,
                    "title": task.title,
                    "passed": one.date or "yes" if one else "",
                    "seconds": one.seconds if one else None,
                    "hints": one.hints if one else None,
                }
            )
    return made


def _tasks() -> list[dict[str, Any]]:
    """Those that finish an exercise."""
    return [row for row in rows() if row["kind"] == "task"]


def as_json(learner: str) -> str:
    return json.dumps(
        {
            "learner": learner,
            "read": sorted(progress.read()),
            "tasks": [{**row, "lesson": row["lesson"].name} for row in rows()],
        },
        ensure_ascii=False,
        indent=1,
    )


def as_csv(learner: str) -> str:
    """One line for each task, so that files of several learners can be put together."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["learner", "lesson", "read", "task", "kind", "title", "passed", "seconds", "hints"]
    )
    read = progress.read()
    for row in rows():
        name = row["lesson"].name
        table.writerow(
            [
                learner,
                name,
                "yes" if name in read else "",
                row["task"],
                row["kind"],
                row["title"],
                row["passed"],
                row["seconds"],
                row["hints"],
            ]
        )
    return text.getvalue().rstrip("\n")


def _is_finished(lesson: course.Lesson) -> bool:
    tasks = [row for row in _tasks() if row["lesson"] == lesson]
    return all(row["passed"] for row in tasks) if tasks else lesson.name in progress.read()
