"""What crossed the wire: the events that table and picture are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .messages import Direction

if TYPE_CHECKING:
    from .line import Line

Side = Literal["client", "server"]


@dataclass(slots=True)
class Event:
    """One message, or a run of rows. `side`: which of the two wires, the client's or the one to the server."""

    time: float  # seconds, monotonic
    side: Side
    line: Line
    direction: Direction
    message: str
    name: str  # of the statement or portal; the transaction status I, T or E of ReadyForQuery
    text: str  # query, command tag, SQLSTATE and error
    size: int  # bytes
    count: int = 1
    startup: bool = False  # start-up, authentication and settings: not shown unless asked for

    @property
    def connection(self) -> str:
        return self.line.label

    @property
    def source(self) -> str:
        return self.line.front if self.direction == "frontend" else self.line.back

    @property
    def target(self) -> str:
        return self.line.back if self.direction == "frontend" else self.line.front

    @property
    def detail(self) -> str:
        return " ".join(part for part in (self.name, self.text) if part)
