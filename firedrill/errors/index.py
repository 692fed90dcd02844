"""The entries, ready to be searched: from index.json, or from errors.toml where that is newer."""

from __future__ import annotations

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from .entry import Entry

PATH = Path(__file__).with_name("index.json")
_PACKAGE = Path(__file__).parents[1]


class Searched:
    """An entry with its expressions, each with texts of which one has to occur for it to fit."""

    __slots__ = ("entry", "find", "loose")

    def __init__(self, row: dict[str, Any]) -> None:
        self.find: list[tuple[str, list[str]]] = row.pop("find")
        self.loose: list[tuple[str, list[str]]] = row.pop("loose")
        self.entry = Entry(**row)


def digest() -> int:
    """Of the files that index.json is made from."""
    value = 0
    for path in [_PACKAGE / "course.toml", *sorted((_PACKAGE / "topics").glob("*/errors.toml"))]:
        value = zlib.crc32(path.read_bytes(), value)
    return value


@cache
def searched() -> tuple[Searched, ...]:
    made: dict[str, Any] = json.loads(PATH.read_bytes()) if PATH.exists() else {"digest": None}
    if made["digest"] != digest():
        from . import source

        made = json.loads(source.built())
    rows: list[dict[str, Any]] = made["entries"]
    return tuple(Searched(row) for row in rows)


def entries() -> tuple[Entry, ...]:
    return tuple(one.entry for one in searched())


def of_topic(slug: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries() if entry.slug == slug)
