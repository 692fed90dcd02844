"""What crossed the wires of a pair, in order, and between whom."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable

from .event import Event, Side
from .line import Line

KEPT = 10_000  # events: some MB


class Recording:
    """`letter` names a backend by its process number. Not thread-safe: one thread records and reads."""

    def __init__(self, letter: Callable[[int], str]) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.forgotten = 0  # events that had to make room
        self.trips: Counter[tuple[str, str]] = Counter()  # round trips by label and application
        self.letter = letter
        self.lines: set[Line] = set()
        self.keys: dict[tuple[Side, bytes], Line] = {}  # who may be cancelled with which key
        self.queries: deque[str] = deque(
            maxlen=100
        )  # the clients', to be told from PgBouncer's own
        self._names: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def line(self, side: Side, front: str = "", back: str = "") -> Line:
        """A new connection. `front` and `back` are the names of its ends, where they are known from the start."""
        line = Line(self, side, next(self._numbers), front, back)
        self.lines.add(line)
        return line

    def keep(self, event: Event) -> None:
        self.forgotten += len(self.events) == KEPT
        self.events.append(event)

    def clear(self) -> None:
        self.events.clear()
        self.trips.clear()
        self.forgotten = 0
        for line in self.lines:
            line.last.clear()
            line.latest = None

    def name(self, application: str) -> str:
        """A name that no other client has: its application_name, and a number from the second on."""
        self._names[application] += 1
        number = self._names[application]
        return (
            f"client {number}"
            if not application
            else application
            if number == 1
            else f"{application} {number}"
        )
