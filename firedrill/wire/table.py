"""The recording as a reader wants it: one row for each flight of messages, the same however TCP
cut it into pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from ..tables import Table
from .bodies import short
from .connection import Connection
from .event import ENDS, OPAQUE, Event
from .messages import Direction

# Here a flight is over, whether or not the next one follows at once: the sender goes on to wait, or
# has answered.
LAST = {
    "Sync",
    "Flush",
    "Query",
    "FunctionCall",
    "CopyFail",
    "ReadyForQuery",
    "CopyInResponse",
    "CopyBothResponse",
}
NAMED = {"Parse", "Bind", "Describe", "Close", "Execute"}
DETAIL = 110  # characters: two details of the usual length
T = TypeVar("T")


@dataclass
class Flight:
    """Messages that one end sent one after the other."""

    events: list[Event] = field(default_factory=list)

    @property
    def source(self) -> str:
        return self.events[0].source

    @property
    def target(self) -> str:
        return self.events[0].target

    @property
    def is_answer(self) -> bool:
        return self.events[0].direction == "backend"

    @property
    def has_failed(self) -> bool:
        return any(
            event.message == "ErrorResponse" or event.message in ENDS for event in self.events
        )

    @property
    def messages(self) -> str:
        """Their names; the name of a statement where it is first spoken of."""
        shown, spoken_of = [], None
        for pattern, times in repeats(
            [(event.message, event.name, event.count) for event in self.events]
        ):
            words = []
            for message, name, count in pattern:
                word = message
                if message not in NAMED:
                    word += f" {name}" if name else ""
                elif name != spoken_of and (name or message in ("Parse", "Bind")):
                    word, spoken_of = f"{word} {name or '(unnamed)'}", name
                words.append(f"{word} x {count}" if count > 1 else word)
            shown.append(_times(words, times))
        return ", ".join(shown)

    @property
    def detail(self) -> str:
        parts = []
        for event in self.events:
            if event.message in OPAQUE:
                parts.append(f"{event.size} bytes")
            elif event.text and event.count == 1 and event.message != "ParameterStatus":
                parts.append(event.text)
        return short(", ".join(_times(pattern, times) for pattern, times in repeats(parts)), DETAIL)


def flights(
    events: Iterable[Event], startup: bool = False, hide: Collection[str] = ()
) -> list[Flight]:
    """In the order of their first messages. `hide`: names of messages to leave out."""
    found: list[Flight] = []
    under_way: dict[tuple[Connection, Direction], Flight] = {}
    for event in events:
        if event.message in hide or (event.startup and not startup):
            continue
        other: Direction = "backend" if event.direction == "frontend" else "frontend"
        under_way.pop((event.connection, other), None)
        here = (event.connection, event.direction)
        if here not in under_way:
            under_way[here] = Flight()
            found.append(under_way[here])
        under_way[here].events.append(event)
        if event.message in LAST:
            del under_way[here]
    return found


def repeats(items: list[T]) -> list[tuple[list[T], int]]:
    """`a b a b a b c` as `(a b) 3 times, (c) once`."""
    found, at = [], 0
    while at < len(items):
        for period in (1, 2, 3):
            pattern, times = items[at : at + period], 1
            while items[at + times * period : at + (times + 1) * period] == pattern:
                times += 1
            if times > 1:
                break
        else:
            pattern = items[at : at + 1]
        found.append((pattern, times))
        at += times * len(pattern)
    return found


def _times(words: list[str], times: int) -> str:
    text = ", ".join(words)
    return text if times == 1 else f"{text} x {times}" if len(words) == 1 else f"({text}) x {times}"


def table(shown: list[Flight], forgotten: int = 0) -> Table:
    rows = [
        (number, f"{flight.source} → {flight.target}", flight.messages, flight.detail)
        for number, flight in enumerate(shown, 1)
    ]
    if forgotten:
        rows.insert(0, (0, "", f"… {forgotten} earlier messages were not kept", ""))
    return Table(["nr", "from → to", "message", "detail"], rows, empty="nothing was said")
