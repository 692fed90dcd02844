"""The recording as a reader wants it: one row for each flight of messages, the same however TCP cut it into pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..views import Table
from .messages import Direction
from .recording import Event, Line

# Here a flight is over, whether or not the next one follows at once: the sender goes on to wait, or has answered.
LAST = {"Sync", "Flush", "Query", "FunctionCall", "CopyFail", "ReadyForQuery", "CopyInResponse", "CopyBothResponse"}
NAMED = {"Parse", "Bind", "Describe", "Close", "Execute"}


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
        return any(event.message in ("ErrorResponse", "FIN", "RST", "refused") for event in self.events)

    @property
    def messages(self) -> str:
        """Their names; the name of a statement where it is first spoken of."""
        words, spoken_of = [], None
        for event in self.events:
            word, name = event.message, event.name
            if word in NAMED:
                if name != spoken_of and (name or word in ("Parse", "Bind")):
                    word += f" {name or '(unnamed)'}"
                    spoken_of = name
            elif name:
                word += f" {name}"
            words.append(f"{word} x {event.count}" if event.count > 1 else word)
        return ", ".join(repeats(words))

    @property
    def detail(self) -> str:
        parts = []
        for event in self.events:
            if event.message in ("TLS", "GSS", "garbage"):
                parts.append(f"{event.size} bytes")
            elif event.text and event.count == 1 and event.message != "ParameterStatus":
                parts.append(event.text)
        return ", ".join(repeats(parts))


def flights(events: Iterable[Event], startup: bool = False, hide: Collection[str] = ()) -> list[Flight]:
    """In the order of their first messages. `hide`: names of messages to leave out."""
    found: list[Flight] = []
    under_way: dict[tuple[Line, Direction], Flight] = {}
    for event in events:
        if event.message in hide or (event.startup and not startup):
            continue
        other: Direction = "backend" if event.direction == "frontend" else "frontend"
        under_way.pop((event.line, other), None)
        here = (event.line, event.direction)
        if here not in under_way:
            under_way[here] = Flight()
            found.append(under_way[here])
        under_way[here].events.append(event)
        if event.message in LAST:
            del under_way[here]
    return found


def repeats(words: list[str]) -> list[str]:
    """`a b a b a b c` as `(a, b) x 3, c`."""
    found, at = [], 0
    while at < len(words):
        for period in (1, 2, 3):
            pattern, times = words[at:at + period], 1
            while len(pattern) == period and words[at + times * period:at + (times + 1) * period] == pattern:
                times += 1
            if times > 1:
                found.append(f"{pattern[0]} x {times}" if period == 1 else f"({', '.join(pattern)}) x {times}")
                at += times * period
                break
        else:
            found.append(words[at])
            at += 1
    return found


def table(shown: list[Flight], forgotten: int = 0) -> Table:
    rows = [(number, f"{flight.source} → {flight.target}", flight.messages, flight.detail)
            for number, flight in enumerate(shown, 1)]
    if forgotten:
        rows.insert(0, (0, "", f"… {forgotten} earlier messages were not kept", ""))
    return Table(["nr", "from → to", "message", "detail"], rows, empty="nothing was said")
