"""Where no text is known: a class or a SQLSTATE that stands alone, or nothing."""

from __future__ import annotations

import re

from . import general, paste
from .answers import POSSIBLE, Answer, Found
from .index import searched


def alone(flat: str) -> list[Found]:
    """A class or a SQLSTATE that is all that was pasted, or an error without text and frames."""
    name = paste.class_alone(flat)
    last = paste.errors(flat)
    if (
        not name
        and last
        and not last[-1].text
        and (
            f"{last[-1].name} Traceback (most recent" in flat
            or (
                re.search(general.SUBJECT, flat, re.IGNORECASE)
                and flat.rstrip().lower().endswith((last[-1].name.lower(), "(no text)"))
            )
        )
    ):
        name = last[-1].name
    short = name.rpartition(".")[2].lower()
    found = [
        Found(one.entry, POSSIBLE, "only the class")
        for one in searched()
        if name and any(short == known.rpartition(".")[2].lower() for known in one.entry.classes)
    ]
    if name:
        textless = [one for one in found if one.entry.frames]
        return textless or found
    state = flat.strip().upper()
    if not paste.sqlstates(state):
        return []
    return [
        Found(one.entry, POSSIBLE, "only the SQLSTATE")
        for one in searched()
        if one.entry.sqlstate == state
    ]


def unknown(text: str) -> Answer:
    raised = paste.errors(text)
    states = paste.sqlstates(text)
    name = raised[-1].name if raised else paste.class_alone(text)
    short = name.rpartition(".")[2]
    family = name.partition(".")[0].lower()
    if family not in general.FOREIGN and short in general.CLASSES:
        return Answer([], short, general.CLASSES[short])
    if states and states[-1][:2] in general.STATES:
        return Answer([], states[-1], general.STATES[states[-1][:2]])
    return Answer([], short)
