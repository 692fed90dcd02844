"""An answer of the index: entries, each with its evidence, or what can be said in general."""

from __future__ import annotations

import re

from . import general
from .entry import Entry

SURE, LIKELY, POSSIBLE = "sure", "likely", "possible"


class Found:
    """An entry, how sure it is, and on what evidence."""

    __slots__ = ("entry", "evidence", "sure")

    def __init__(self, entry: Entry, sure: str, evidence: str) -> None:
        self.entry, self.sure, self.evidence = entry, sure, evidence

    def __repr__(self) -> str:
        return f"<{self.entry.id!r}: {self.sure}, by {self.evidence}>"


class Answer:
    """What the index says of a paste: what it found, best first; or what can be said in general."""

    __slots__ = ("found", "general", "name")

    def __init__(self, found: list[Found], name: str = "", in_general: str = "") -> None:
        self.found, self.name, self.general = found, name, in_general

    @property
    def hedged(self) -> bool:
        return bool(self.found) and self.found[0].sure == POSSIBLE


def of_another_database(flat: str) -> bool:
    """Its driver is spoken of, and nothing of PostgreSQL's."""
    lower = flat.lower()
    return any(
        word in lower and re.search(rf"\b{word}\b", lower) for word in general.DATABASES
    ) and not re.search(general.OURS, lower)


def hedged(found: Found, flat: str) -> Found:
    """Words that any code may say are no evidence, unless a database is spoken of."""
    if found.entry.generic and not re.search(general.SUBJECT, flat, re.IGNORECASE):
        return Found(found.entry, POSSIBLE, f"{found.evidence} alone, which other code says, too")
    return found
