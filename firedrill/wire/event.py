"""What crossed the wire: the events that table and picture are made from."""

from __future__ import annotations

from dataclasses import dataclass

from .connection import Connection, Side
from .messages import Direction

ROWS = {"DataRow", "CopyData"}  # one event for all that follow each other
OPAQUE = {"TLS", "GSS", "garbage"}  # one event until the other side speaks
ENDS = {"FIN", "RST", "refused"}


@dataclass(slots=True)
class Event:
    """One message, or a run of rows."""

    time: float  # seconds, monotonic
    connection: Connection
    direction: Direction
    message: str
    name: str  # of the statement or portal; the transaction status I, T or E of ReadyForQuery
    text: str  # query, command tag, SQLSTATE and error
    size: int  # bytes
    count: int = 1
    startup: bool = False  # start-up, authentication and settings: not shown unless asked for

    @property
    def side(self) -> Side:
        return self.connection.side

    @property
    def source(self) -> str:
        front, back = self.connection.ends
        return front if self.direction == "frontend" else back

    @property
    def target(self) -> str:
        front, back = self.connection.ends
        return back if self.direction == "frontend" else front

    @property
    def detail(self) -> str:
        return " ".join(part for part in (self.name, self.text) if part)
