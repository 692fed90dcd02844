"""The names of pages and of places in them, made from what they are about."""

from __future__ import annotations

import re
from functools import cache

from ... import errors
from ...errors.places import anchor

__all__ = ["LONGEST", "anchor", "of_errors", "slug"]

LONGEST = 70  # characters of a file's name


def slug(text: str) -> str:
    """Letters, digits and hyphens, for a file's name: "[Errno 111] Refused" is "errno-111-refused".

    Cut between words.
    """
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return made if len(made) <= LONGEST else made[: LONGEST + 1].rpartition("-")[0]


@cache
def of_errors() -> dict[tuple[str, str], str]:
    """By lesson and id: the name of the error's page, made from its text."""
    names: dict[tuple[str, str], str] = {}
    for entry in errors.entries():
        name = slug(entry.title) or slug(entry.id)
        if name in names.values():
            name = f"{name}-{slug(entry.id)}"
        if name in names.values():
            name = f"{name}-{entry.lesson[:2]}"
        names[entry.lesson, entry.id] = name
    return names
