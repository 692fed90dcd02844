"""The entries, ready to be searched: from index.json, or from errors.toml where that is newer."""

from __future__ import annotations

import json
import os
from functools import cache

from .entry import Entry
from .files import PATH, sizes

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than the answer
if TYPE_CHECKING:
    from typing import Any


class Searched:
    """An entry with its expressions, each with texts of which one has to occur for it to fit.

    Most are not asked for more than that, so the entry itself is made when it is needed.
    """

    __slots__ = ("_entry", "find", "loose", "row")

    def __init__(self, row: dict[str, Any]) -> None:
        self.find: list[tuple[str, list[str]]] = row["find"]
        self.loose: list[tuple[str, list[str]]] = row["loose"]
        self.row = row
        self._entry: Entry | None = None

    @property
    def entry(self) -> Entry:
        if self._entry is None:
            keys = {
                name: value for name, value in self.row.items() if name not in ("find", "loose")
            }
            self._entry = Entry(**keys)
        return self._entry


@cache
def searched() -> tuple[Searched, ...]:
    made: dict[str, Any] = {}
    if os.path.exists(PATH):
        with open(PATH, encoding="utf-8") as file:
            made = json.load(file)
    if made.get("sizes") != sizes():
        from . import source

        made = json.loads(source.built())
    rows: list[dict[str, Any]] = made["entries"]
    return tuple(Searched(row) for row in rows)


def entries() -> tuple[Entry, ...]:
    return tuple(one.entry for one in searched())


def of_topic(slug: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries() if entry.slug == slug)
