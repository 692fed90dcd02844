"""Exercises: what a learner starts from, and how it is made from a solution."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import re
import shutil
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from .. import course

# By exercise and task: the code that a learner is given. Made by `make notebooks`, so that a check
# needs neither exercises/ nor solutions/.
STARTERS = Path(__file__).parents[1] / "topics/starters.json"
METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python"},
}
SOLUTION = re.compile(
    r"^(?P<indent>[ \t]*)### BEGIN SOLUTION[^\n]*\n"
    r"(?P<answer>.*?)"
    r"(?:^[ \t]*### STARTER[^\n]*\n(?P<starter>.*?))?"
    r"^[ \t]*### END SOLUTION[^\n]*\n?",
    re.S | re.M,
)


def as_exercise(source: str) -> str:
    """Replace each block of a solution by its starter (commented, below ### STARTER) or `...`."""

    def starter(block: re.Match[str]) -> str:
        given = block["starter"]
        lines = [f"{block['indent']}..."]
        if given:
            lines = [re.sub(r"^([ \t]*)# ?", r"\1", line) for line in given.splitlines()]
        return "\n".join(lines) + "\n"

    made = SOLUTION.sub(starter, source + "\n").rstrip("\n")
    if "### BEGIN" in made or "### END" in made or "### STARTER" in made:
        raise ValueError(f"unbalanced solution markers in:\n{source}")
    return made


def exercise(solution: dict[str, Any]) -> dict[str, Any]:
    """The learner's notebook: starters, no cell tagged `solution`, no outputs."""
    cells = []
    for cell in solution["cells"]:
        if "solution" in cell["metadata"].get("tags", []):
            continue
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            made = as_exercise(source).splitlines(keepends=True)
            cells.append({**cell, "source": made, "outputs": [], "execution_count": None})
        else:
            text = source.replace("# Solution: ", "# Exercise: ")
            cells.append({**cell, "source": text.splitlines(keepends=True)})
    return {**solution, "cells": cells, "metadata": METADATA}


def starters(solution: dict[str, Any]) -> dict[str, str]:
    """By task, what its cells (tagged `task-<number>`) give to the learner."""
    found: dict[str, list[str]] = {}
    for cell in solution["cells"]:
        for tag in cell["metadata"].get("tags", []):
            if tag.startswith("task-"):
                found.setdefault(tag[5:], []).append(as_exercise("".join(cell["source"])))
    return {number: "\n".join(cells) for number, cells in sorted(found.items())}


def text_of(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def starter(name: str, number: int) -> str:
    """The code that exercise `name` gives for a task."""
    return _all_starters()[name][str(number)]


@cache
def _all_starters() -> dict[str, dict[str, str]]:
    given: dict[str, dict[str, str]] = json.loads(STARTERS.read_text(encoding="utf-8"))
    return given


def is_starter(code: Callable[..., Any] | Path, name: str, number: int) -> bool:
    """Untouched, but for white space and comments."""
    given = starter(name, number)
    try:
        if isinstance(code, Path):
            _magic, _, source = given.partition("\n")
            written = code.read_text(encoding="utf-8")
            return ast.dump(ast.parse(source)) == ast.dump(ast.parse(written))
        mine = ast.parse(textwrap.dedent(inspect.getsource(code))).body[0]
        return any(ast.dump(node) == ast.dump(mine) for node in ast.parse(given).body)
    except (OSError, TypeError, SyntaxError, ValueError):
        return False


def learners_folder() -> Path:
    """my/, with the notebooks as the learner saved them in JupyterLab, named as in the course.

    Tests have another one: `$FIREDRILL_MY`, in the repository too, or Jupyter refuses it.
    """
    return Path(os.environ.get("FIREDRILL_MY") or course.REPOSITORY / "my").absolute()


def keep(notebook: Path) -> Path:
    """Move a notebook out of the way, to a name that is free in my/kept. Returns where it is."""
    folder = learners_folder() / "kept"
    folder.mkdir(parents=True, exist_ok=True)
    names = (f"{notebook.stem}-{number}.ipynb" for number in itertools.count(1))
    kept = next(folder / name for name in names if not (folder / name).exists())
    shutil.move(notebook, kept)
    return kept


def restore(name: str) -> str:
    """Write the exercise as it was; the learner's versions are kept. Says what it did.

    JupyterLab saves to my/, other editors to exercises/. Raises FileNotFoundError where the
    solution is gone, from which exercises are made.
    """
    path = course.REPOSITORY / f"exercises/{name}.ipynb"
    solution = course.REPOSITORY / f"solutions/{name}.ipynb"
    made = text_of(exercise(json.loads(solution.read_text(encoding="utf-8"))))
    kept = []
    copy = learners_folder() / f"exercises/{name}.ipynb"
    if copy.exists():
        kept.append(keep(copy))
    if path.exists() and path.read_text(encoding="utf-8") != made:
        kept.append(keep(path))
    path.parent.mkdir(exist_ok=True)
    path.write_text(made, encoding="utf-8")
    where = " and ".join(os.path.relpath(one, course.REPOSITORY) for one in kept)
    return f"exercises/{name}.ipynb is as it was at first." + (
        f" Your version is kept in {where}." if kept else ""
    )
