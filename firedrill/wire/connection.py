"""One connection through the tap, as plain data: its two ends, and how far its conversation is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from .messages import Conversation

Side = Literal["client", "server"]


@dataclass(eq=False, slots=True)
class Connection:
    """`side` says which of the two wires: the client's, or the one to the server.

    `front` and `back` name its ends: the side that connected and the side that was connected to.
    They are empty until they are known. Only the recorder changes a connection.
    """

    side: Side
    number: int  # in the order in which the connections were opened
    front: str = ""
    back: str = ""
    application: str = ""
    conversation: Conversation = field(default_factory=Conversation)
    is_ready: bool = False  # the start-up is over
    is_waiting: bool = False  # for the answer to a flight
    # For each ReadyForQuery to come: does it answer PgBouncer's own query?
    own: deque[bool] = field(default_factory=deque)
    key: bytes = b""  # with which its query may be cancelled
    # Nothing has been said, or the end is settled: then it does not matter which side closes first.
    has_ended: bool = True

    @property
    def ends(self) -> tuple[str, str]:
        return self.front or "a client", self.back or "PostgreSQL"

    @property
    def label(self) -> str:
        front, back = self.ends
        return front if self.side == "client" else back

    @property
    def names(self) -> set[str]:
        """What a fault may call it."""
        return {self.front, self.application} if self.side == "client" else {self.label}
