"""An entry of the error index, as `errors.toml` of its topic has it.

A plain class: `firedrill explain` has to answer at once, and `dataclasses` alone takes longer to
import than the whole answer.
"""

from __future__ import annotations

from .places import quoted

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than the answer
if TYPE_CHECKING:
    from typing import Any


class Entry:
    """Keys of errors.toml; those with a default may be left out.

    `text` is a regular expression that finds the entry in what was pasted, and `also` has further
    ones: the words of other drivers, operating systems and logs. `frames` finds an error that has
    no text by where it was raised: expressions of "folder/file.py:function". `over` names entries
    that this one precedes where both fit. `apart` has the causes of one text, each with how to
    tell it from the others. `words` describe a symptom that comes without an error. `exact`:
    upper and lower case tell it from another text. `generic`: code that has nothing to do with
    databases says it, too. `wraps`: another error in the same paste is its cause. `source` is the
    public thread of an entry that no server raises here; `examples` has a text for each expression
    of such an entry and of `also`.
    """

    __slots__ = (
        "also",
        "apart",
        "classes",
        "exact",
        "examples",
        "fix",
        "frames",
        "generic",
        "id",
        "lesson",
        "means",
        "over",
        "section",
        "source",
        "sqlstate",
        "text",
        "title",
        "trap",
        "versions",
        "words",
        "wraps",
    )
    id: str
    title: str
    text: str
    classes: tuple[str, ...]
    means: str
    lesson: str
    section: str
    fix: str
    trap: str
    sqlstate: str
    also: tuple[str, ...]
    frames: tuple[str, ...]
    over: tuple[str, ...]
    apart: tuple[str, ...]
    words: tuple[str, ...]
    examples: tuple[str, ...]
    exact: bool
    generic: bool
    wraps: bool
    versions: str
    source: str

    def __init__(self, **keys: Any) -> None:
        for name in LISTS:
            setattr(self, name, tuple(keys.pop(name, ())))
        for name in FLAGS:
            setattr(self, name, keys.pop(name, False))
        for name in TEXTS:
            setattr(self, name, keys.pop(name, ""))
        for name in NEEDED:
            setattr(self, name, keys.pop(name))
        if keys:
            raise TypeError(f"{self.id}: errors.toml has no keys {', '.join(keys)}")

    def __repr__(self) -> str:
        return f"<entry {self.id!r} of {self.lesson}>"

    @property
    def slug(self) -> str:
        """Of its topic."""
        return self.lesson.partition("_")[2]

    @property
    def link(self) -> str:
        """Of its section, from the repository's root, as JupyterLab and code hosts make anchors."""
        return f"notebooks/{self.lesson}.ipynb#{quoted(self.section.replace(' ', '-'))}"

    @property
    def raised_here(self) -> bool:
        """A server of the course can raise it: it has no public source, and is no mere symptom."""
        return not self.source and bool(self.text or self.frames)

    @property
    def expressions(self) -> tuple[str, ...]:
        return tuple(one for one in (self.text, *self.also) if one)


NEEDED = ("id", "title", "means", "lesson", "section", "fix", "trap")
TEXTS = ("text", "sqlstate", "versions", "source")
FLAGS = ("exact", "generic", "wraps")
LISTS = ("classes", "also", "frames", "over", "apart", "words", "examples")
