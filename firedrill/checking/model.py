"""The model answer of each task, and what it costs in a check. A check does not need solutions/.

`make notebooks` takes the answers and what is said of them from the solutions, and the figures from
three runs of each solution, whenever a task's answer or its topic's code has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .. import course
from .exercise_files import SOLUTION
from .report import WIDTH
from .traffic import Figures

TOPICS = Path(__file__).parents[1] / "topics"
MODELS, FIGURES = TOPICS / "models.json", TOPICS / "figures.json"
MEASURE = (
    "FIREDRILL_FIGURES"  # in the environment: the file to which a passed solution adds its own
)
RUNS = 3  # of a solution; a retry or a race makes figures differ
Range = tuple[int, int]


@dataclass(frozen=True)
class Model:
    """Shown as code with what is said of it."""

    answer: str
    text: str

    def __repr__(self) -> str:
        lines = [textwrap.fill(line, WIDTH) for line in self.text.splitlines()]
        return "\n".join([self.answer, "", *lines])

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.answer}\n```\n\n{self.text}"


@dataclass(frozen=True)
class Unsolved:
    """Stands in front of a model answer until the task has been passed."""

    number: int
    label: str

    def __repr__(self) -> str:
        return (
            f"{self.label} is not passed yet. A hint: drill[{self.number}].hint().\n"
            f"To see the model answer all the same: drill[{self.number}].solution(spoil=True)"
        )


def models(solution: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By task: the answer from its cells (tagged `task-<number>`), and the text that follows."""
    found: dict[str, dict[str, str]] = {}
    number = ""
    for cell in solution["cells"]:
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        for tag in tags:
            if tag.startswith("task-"):
                number = tag[5:]
                one = found.setdefault(number, {"answer": "", "text": ""})
                one["answer"] = "\n\n".join(filter(None, (one["answer"], _answer(source))))
        if number and "solution" in tags and cell["cell_type"] == "markdown":
            one["text"] = "\n\n".join(filter(None, (one["text"], source)))
    return found


def _answer(source: str) -> str:
    return SOLUTION.sub(lambda block: block["answer"], source + "\n").rstrip("\n")


def answer(name: str, number: int) -> Model:
    return Model(**_read(MODELS)[name][str(number)])


def figures(name: str, number: int) -> dict[str, Range]:
    """The least and the most of each figure. Empty where they are of another answer or check."""
    measured = _stored().get(name, {}).get(str(number), {})
    if measured.get("of") != stamp(name, number):
        return {}
    return {what: (least, most) for what, (least, most) in measured["figures"].items()}


def stamp(name: str, number: int) -> str:
    """Changes with the task's answer, and with the code of its topic, so with its check."""
    code = [_read(MODELS)[name][str(number)]["answer"]]
    slug = next(lesson.slug for lesson in course.exercises() if lesson.name == name)
    code += [path.read_text(encoding="utf-8") for path in sorted((TOPICS / slug).rglob("*.py"))]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()[:12]


def note(name: str, number: int, measured: Figures) -> None:
    """Add what a passed solution did, where `make notebooks` asks for it."""
    if os.environ.get(MEASURE) != name:
        return
    stored, of = _stored(), stamp(name, number)
    mine = stored.setdefault(name, {}).get(str(number), {})
    before = mine["figures"] if mine.get("of") == of else {}
    stored[name][str(number)] = {
        "of": of,
        "figures": {
            what: [min(count, *before.get(what, [count])), max(count, *before.get(what, [count]))]
            for what, count in measured.items()
        },
    }
    FIGURES.write_text(as_text(stored), encoding="utf-8")


def outdated(name: str) -> bool:
    """Whether a task's figures are missing, or of another answer or check."""
    return not all(figures(name, int(number)) for number in _read(MODELS).get(name, {}))


def as_text(stored: dict[str, Any]) -> str:
    """A line for each figure would be long, one for each exercise would be unreadable."""
    text = json.dumps(stored, ensure_ascii=False, indent=1, sort_keys=True)
    return re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text) + "\n"


def _stored() -> dict[str, Any]:
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}


@cache
def _read(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"))
    return found
