"""The error index: from an error, as users paste it, to its meaning, lesson, fix and trap.

    answer = errors.answer(pasted)      # what was found, how sure that is, and on what evidence
    errors.find(pasted)                 # only the entries, best first

Each topic has a file of entries, topics/<slug>/errors.toml; its keys are those of `Entry`. Nothing
here needs a package that does not come with Python.
"""

from __future__ import annotations

from .answers import Answer, Found
from .entry import Entry
from .general import COLLECT
from .index import entries, of_topic
from .matching import answer
from .noise import masked

__all__ = ["COLLECT", "Answer", "Entry", "Found", "answer", "entries", "find", "masked", "of_topic"]


def find(pasted: str | bytes) -> list[Entry]:
    """The entries that the index has for what was pasted, best first; none if it is not known."""
    return [one.entry for one in answer(pasted).found]
