"""The entries as the topics' errors.toml have them, and index.json, which is made from them.

`python -m firedrill.authoring.index` writes it: reading TOML and compiling 300 expressions takes
longer than an answer may.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from .. import course
from .entry import FLAGS, LISTS, NEEDED, TEXTS, Entry
from .files import PATH, sizes

_parser: Any = re._parser  # type: ignore[attr-defined]
_ANY_QUOTED = (
    ('[^"]*', "S"),
    ("[^']*", "S"),
    ("""['"]""", ""),
    ('[^" ]+', "S"),
    ("\\s+", ""),
    ("\\s", ""),
)


@cache
def of_topic(slug: str) -> tuple[Entry, ...]:
    path = Path(__file__).parents[1] / f"topics/{slug}/errors.toml"
    return tuple(
        Entry(**error, lesson=course.lesson(slug).name)
        for error in tomllib.loads(path.read_text(encoding="utf-8"))["error"]
    )


def all_entries() -> tuple[Entry, ...]:
    return tuple(entry for lesson in course.exercises() for entry in of_topic(lesson.slug))


def literals(expression: str) -> list[str]:
    """In lower case: one of these is in every text that the expression fits, if there are any."""
    return sorted(set(_needed(_parser.parse(expression, re.IGNORECASE))))


def _needed(sequence: Any) -> list[str]:
    """The best condition that a part of the sequence sets: a list of texts, one of which occurs."""
    conditions: list[list[str]] = []
    run = ""
    for code, argument in [*sequence, (None, None)]:
        name = str(code)
        if name == "LITERAL":
            run += chr(argument).lower()
            continue
        if run:
            conditions.append([run])
            run = ""
        if name == "SUBPATTERN":
            conditions.append(_needed(argument[3]))
        elif name in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] >= 1:
            conditions.append(_needed(argument[2]))
        elif name == "BRANCH":
            branches = [_needed(branch) for branch in argument[1]]
            conditions.append(
                [one for branch in branches for one in branch] if all(branches) else []
            )
    return max(conditions, key=lambda texts: min(map(len, texts), default=0), default=[])


def squeezed(expression: str) -> str:
    """The expression for a text without white space and quotation marks, or "" if there is none."""
    for old, new in _ANY_QUOTED:
        expression = expression.replace(old, ".{0,80}?" if new == "S" else new)
    made = re.sub(r"\\?[ \"'`]", "", expression)
    made = made.replace(r"\$\d+", r"(?:\$?\d+)?")
    try:
        needed = literals(made)
    except re.error:
        return ""
    return made if needed and min(map(len, needed)) >= 12 and "^" not in made else ""


def built() -> str:
    """What index.json should hold: an entry in each line."""
    rows = []
    for entry in all_entries():
        row: dict[str, Any] = {name: getattr(entry, name) for name in NEEDED}
        row |= {
            name: getattr(entry, name)
            for name in (*TEXTS, *LISTS)
            if name != "examples" and getattr(entry, name)
        }
        row |= {name: True for name in FLAGS if getattr(entry, name)}
        row["find"] = [[one, literals(one)] for one in entry.expressions]
        row["loose"] = [
            [made, literals(made)]
            for one in entry.expressions
            if one.isascii() and (made := squeezed(one))  # translations: too long to read in time
        ]
        if entry.exact:
            row["loose"] = []
        rows.append(json.dumps(row, ensure_ascii=False))
    return f'{{"sizes": {sizes()}, "entries": [\n' + ",\n".join(rows) + "\n]}\n"


def write() -> None:
    Path(PATH).write_text(built(), encoding="utf-8")
