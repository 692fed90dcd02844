"""The error index: from the text of an error, as users paste it, to its meaning, lesson, fix and trap.

Each topic has a file of entries, topics/<slug>/errors.toml. An entry has an `id`; a `text`, the regular expression that finds it anywhere
in what was pasted; the `classes` and `sqlstate` that it comes with; what it `means`; the heading of its `section` in the
lesson; the `fix`; and the `trap`, the tempting wrong fix.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from . import course


@dataclass(frozen=True)
class Entry:
    id: str
    title: str
    text: str
    classes: tuple[str, ...]
    means: str
    lesson: str
    section: str
    fix: str
    trap: str
    sqlstate: str = ""

    @property
    def link(self) -> str:
        """Of the section in its lesson, from the repository's root; as JupyterLab and code hosts make anchors of headings."""
        return f"notebooks/{self.lesson}.ipynb#{quote(self.section.replace(' ', '-'))}"


@cache
def entries() -> tuple[Entry, ...]:
    return tuple(entry for lesson in course.exercises() for entry in of_topic(lesson.slug))


@cache
def of_topic(slug: str) -> tuple[Entry, ...]:
    path = Path(__file__).parent / f"topics/{slug}/errors.toml"
    return tuple(
        Entry(**{**error, "classes": tuple(error["classes"])}, lesson=course.lesson(slug).name)
        for error in tomllib.loads(path.read_text(encoding="utf-8"))["error"]
    )


def find(pasted: str) -> list[Entry]:
    """The entries whose text occurs in `pasted`, best first: the last one in a traceback, then those whose class it names.

    `pasted` may be a whole traceback, or a single line of it. Without any text that is known, a class or a SQLSTATE
    standing alone still finds its entries.
    """
    flat = " ".join(pasted.split())
    ends = {
        entry: max((match.end() for match in re.finditer(entry.text, flat)), default=0)
        for entry in entries()
    }
    known = [entry for entry in entries() if ends[entry]]
    if known:  # a traceback ends with the error that was raised; what stands before are its causes
        return sorted(
            known, key=lambda entry: (-ends[entry], not _named(entry, flat), -len(entry.text))
        )
    return [entry for entry in entries() if _named(entry, flat)] if len(flat) < 80 else []


def _named(entry: Entry, flat: str) -> bool:
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", flat)
        for one in entry.classes
        for name in {one, one.rpartition(".")[2]}
    ) or (bool(entry.sqlstate) and re.search(rf"(?<!\w){entry.sqlstate}(?!\w)", flat) is not None)
