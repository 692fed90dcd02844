"""The links from a lesson and an exercise to the next ones, made from course.toml.

In a lesson they stand under the title and in the list at the end, in a solution in the cell
`## Where to go`.
"""

from __future__ import annotations

import re
from typing import Any

from .. import course
from ..course import Lesson

TOP = re.compile(r"\A(# .*)\n(?:\n\*Lesson \d.*\*\n)?")
END = re.compile(r"^- (?:Lesson \d+|Previous|Next)\b.*$", re.M)
WHERE_TO_GO = re.compile(r"^## Where to go\n.*", re.S)


def in_lesson(notebook: dict[str, Any], lesson: Lesson) -> dict[str, Any]:
    """Raises ValueError unless the lesson has one title and one line at the end for them."""
    found = (("Previous", _beside(lesson, -1)), ("Next", _beside(lesson, 1)))
    place = f"Lesson {lesson.number} of {course.lessons()[-1].number}."
    around = " ".join([place, *(f"{label}: {_link(one)}." for label, one in found if one)])
    first, *others = notebook["cells"]
    top = _with({"cells": [first]}, TOP, f"\\1\n\n*{around}*\n")
    return _with({**notebook, "cells": [*top["cells"], *others]}, END, f"- {around}")


def in_solution(notebook: dict[str, Any], lesson: Lesson) -> dict[str, Any]:
    """Raises ValueError unless the solution has one cell for them."""
    parts = [
        f"Compare yours with the [solution](../solutions/{lesson.name}.ipynb).",
        f"Back to the lesson: {_link(lesson, '../notebooks/')}.",
        "What you have done so far: `firedrill progress` in a terminal.",
        f"To begin again: `firedrill reset {lesson.number:02}`.",
    ]
    if following := _beside(lesson, 1):
        parts.insert(2, f"Next: {_link(following, '../notebooks/')}.")
    return _with(notebook, WHERE_TO_GO, f"## Where to go\n\n{' '.join(parts)}")


def _beside(lesson: Lesson, step: int) -> Lesson | None:
    lessons, number = course.lessons(), lesson.number + step
    return lessons[number] if 0 <= number < len(lessons) else None


def _link(lesson: Lesson, folder: str = "") -> str:
    return f"[{lesson.number:02} {lesson.title}]({folder}{lesson.name}.ipynb)"


def _with(notebook: dict[str, Any], place: re.Pattern[str], text: str) -> dict[str, Any]:
    cells, times = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source, here = place.subn(text, "".join(cell["source"]))
            times += here
            cell = {**cell, "source": source.splitlines(keepends=True)}
        cells.append(cell)
    if times != 1:
        raise ValueError(f"{times} places for {text!r}, and one is needed: {place.pattern}")
    return {**notebook, "cells": cells}
