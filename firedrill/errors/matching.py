"""From a paste to what the index knows of it, with the evidence.

An entry is found by its text; by the frames, for an error that has no text; by its title; by a
class or a SQLSTATE that stands alone; or by plain words. Each answer says by which, and how sure
that is.
"""

from __future__ import annotations

import re

from . import general, guesses, noise, paste
from .answers import LIKELY, POSSIBLE, SURE, Answer, Found, hedged, of_another_database
from .entry import Entry
from .index import Searched, searched


def answer(pasted: str | bytes) -> Answer:
    lines = noise.lines(pasted)
    text = "\n".join(lines).strip()
    if not text:
        return Answer([])
    flat = " ".join(text.split())
    found = by_title(flat) or _by_text(text, flat) or guesses.alone(flat)
    if not found:
        from . import words  # takes time that most answers need not take

        found = words.by_words(flat)
    return Answer(found) if found else guesses.unknown(text)


def by_title(flat: str) -> list[Found]:
    lower = flat.lower()
    found = [
        hedged(Found(one.entry, SURE, "the title"), flat)
        for one in searched()
        if one.row["title"].lower() == lower
    ]
    return sorted(found, key=lambda one: one.entry.title != flat)


class _Match:
    """Where an entry was found in the flat text."""

    __slots__ = ("end", "how", "length", "one", "start")

    def __init__(self, one: Searched, start: int, end: int, how: str) -> None:
        self.one, self.start, self.end, self.length, self.how = one, start, end, end - start, how


def _by_text(text: str, flat: str) -> list[Found]:
    raised = paste.errors(text)
    matches = _matches(flat)
    matches += _by_frames(raised, flat)
    if not matches:
        matches = _squeezed(text)
    if not matches:
        return []
    names = {error.short.lower() for error in raised}
    states = set(paste.sqlstates(text))
    spans = _spans(raised, text, flat)

    def rank(match: _Match) -> tuple[int, int, int, int]:
        entry = match.one.entry
        inside = any(start <= match.start < end for start, end, _ in spans) or not spans
        return (-inside, -match.end, -_named(entry, names, states), -match.length)

    best: dict[str, _Match] = {}
    for match in sorted(matches, key=rank):
        best.setdefault(match.one.entry.id + match.one.entry.lesson, match)
    ordered = list(best.values())
    for match in list(ordered):  # what an entry precedes, wherever it stands
        later = [
            at for at, other in enumerate(ordered) if other.one.entry.id in match.one.entry.over
        ]
        if later and min(later) < ordered.index(match):
            ordered.remove(match)
            ordered.insert(min(later), match)
    ordered.sort(key=lambda match: match.one.entry.wraps)  # what another error has caused
    if of_another_database(flat):
        ordered = [match for match in ordered if match.one.entry.sqlstate]
    found = [_judged(match, spans, states, flat) for match in ordered]
    return [hedged(one, flat) for one in found if one]


def _matches(flat: str) -> list[_Match]:
    lower = flat.lower()
    matches = []
    for one in searched():
        for expression, needed in one.find:
            if needed and not any(part in lower for part in needed):
                continue
            flags = 0 if one.entry.exact else re.IGNORECASE
            last = None
            for match in re.finditer(expression, flat, flags):
                last = match
            if last and last.end() > last.start():
                matches.append(_Match(one, last.start(), last.end(), "the text"))
    return matches


def _squeezed(text: str) -> list[_Match]:
    """Where a terminal has wrapped lines inside words, or a log has dropped the quotes."""
    tight = re.sub(r"[\s\"'`]+", "", text)
    lower = tight.lower()
    matches = []
    for one in searched():
        for expression, needed in one.loose:
            if not any(part in lower for part in needed):
                continue
            match = re.search(expression, tight, re.IGNORECASE)
            if match and match.end() > match.start():
                matches.append(
                    _Match(one, match.start(), match.end(), "the text, but for spaces and quotes")
                )
    return matches


def _by_frames(raised: list[paste.Raised], flat: str) -> list[_Match]:
    """The errors without a text, by the frame that is nearest to where they were raised."""
    for error in reversed(raised):
        if error.text:
            continue
        near: list[tuple[int, Searched]] = []
        for one in searched():
            if "frames" in one.row and error.short in _short(one.entry.classes):
                at = [
                    at
                    for at, frame in enumerate(error.frames)
                    if any(re.search(expression, frame) for expression in one.entry.frames)
                ]
                if at:
                    near.append((max(at), one))
        if not near:
            continue
        nearest = max(at for at, _ in near)
        first = {one.entry.id for at, one in near if at == nearest}
        chosen = [one for at, one in near if at == nearest or first.intersection(one.entry.over)]
        start = max(flat.rfind(error.name), 0)
        return [_Match(one, start, start + len(error.name), "the frames") for one in chosen]
    return []


def _short(classes: tuple[str, ...]) -> set[str]:
    return {name.rpartition(".")[2] for name in classes}


def _spans(raised: list[paste.Raised], text: str, flat: str) -> list[tuple[int, int, str]]:
    """Where in the flat text the message of each error stands: up to the next error."""
    spans = []
    for at, error in enumerate(raised):
        before = len(" ".join(text[: error.start].split()))
        start = before + (1 if before else 0)
        stop = raised[at + 1].start if at + 1 < len(raised) else len(text)
        body = text[error.start : stop]
        cut = re.search(r"\n\s*(?:Traceback|During handling|The above|File |\+-)", body)
        length = len(" ".join((body[: cut.start()] if cut else body).split()))
        spans.append((start, start + max(length, 1), error.name))
    return spans


def _named(entry: Entry, names: set[str], states: set[str]) -> bool:
    return entry.sqlstate in states or any(
        name.rpartition(".")[2].lower() in names for name in entry.classes
    )


def _judged(
    match: _Match, spans: list[tuple[int, int, str]], states: set[str], flat: str
) -> Found | None:
    """How sure a match is: another library's error may have the same words."""
    entry = match.one.entry
    if match.how == "the frames":
        return Found(entry, SURE, "the class and the frames it was raised in")
    own = next((name for start, end, name in spans if start <= match.start < end), "")
    around = (own or flat[max(0, match.start - 60) : match.end]).lower()
    foreign = next(
        (
            word
            for word in general.FOREIGN
            if word in around and re.search(rf"\b{word}\b", around)  # an expression costs more
        ),
        "",
    )
    if foreign and not any(
        foreign in one.lower() for one in (entry.text, *entry.also, *entry.classes)
    ):
        if entry.generic or not entry.sqlstate:
            return None  # any code says so, and this was other code
        return Found(entry, POSSIBLE, f"the words alone: the error is one of {foreign}")
    if match.how != "the text":
        return Found(entry, LIKELY, match.how)
    if not own or _named(entry, {own.rpartition(".")[2].lower()}, states):
        return Found(entry, SURE, "the text and the class" if own else "the text")
    return Found(entry, SURE if match.length >= 24 else LIKELY, f"the text; the class is {own}")
