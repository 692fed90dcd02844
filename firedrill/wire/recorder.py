"""One connection as it is recorded: what its messages mean, who its ends are, what of it a reader wants to see."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from .bodies import is_fatal, row, settings
from .event import Event, Side
from .messages import Conversation, Direction, Message

if TYPE_CHECKING:
    from .recording import Recording

ROWS = {"DataRow", "CopyData"}  # one event for all that follow each other
OPAQUE = {"TLS", "GSS", "garbage"}  # one event until the other side speaks
ENDS_FLIGHT = {"Sync", "Flush", "Query", "FunctionCall"}
ENDS = {"FIN", "RST", "refused"}
UNASKED = {"NoticeResponse", "NotificationResponse", "ParameterStatus"} | ENDS
SHOWN_AT_STARTUP = {"CancelRequest", "ErrorResponse", "NoticeResponse"} | OPAQUE | ENDS
# How PgBouncer brings a server's settings up to those of the client that gets it, before the client's own message.
OWN_SET = re.compile(rb"(SET \w+='([^']|'')*';)+\0")


@dataclass(eq=False)
class Line:
    """One connection as it is recorded."""

    recording: Recording
    side: Side
    number: int  # of the connection, in the order in which they were opened
    fixed_front: str
    fixed_back: str
    application: str = ""
    on_name: Callable[[], None] = lambda: None
    last: dict[Direction, Event] = field(default_factory=dict)
    latest: Event | None = None
    _front: str = ""
    _back: str = ""
    _conversation: Conversation = field(default_factory=Conversation)
    _ready: bool = False  # the start-up is over
    _waits: bool = False  # for the answer to a flight
    _own: deque[bool] = field(
        default_factory=deque
    )  # for each ReadyForQuery to come: is it to PgBouncer's own query?
    _key: bytes = b""
    _ended: bool = (
        True  # nothing has been said, or the end is settled: who closes first is of no interest
    )

    @property
    def front(self) -> str:
        if not self.fixed_front and not self._front:
            self._front = self.recording.name(self.application)
        return self.fixed_front or self._front

    @property
    def back(self) -> str:
        return self.fixed_back or self._back or "PostgreSQL"

    @property
    def label(self) -> str:
        return self.front if self.side == "client" else self.back

    @property
    def names(self) -> set[str]:
        """What a fault may call it."""
        return {self._front, self.application} if self.side == "client" else {self.back}

    def sent(self, direction: Direction, data: bytes) -> None:
        """Record what `data` completes. Never raises: what cannot be read is garbage from then on."""
        now = time.monotonic()
        try:
            for message in self._conversation.feed(direction, data):
                self._record(now, direction, message)
        except Exception:
            self._conversation.give_up(direction)

    def ended(self, direction: Direction, how: str) -> None:
        """FIN or RST. Only who ends first is recorded, and nothing after a Terminate or a FATAL error, which announce it, nor
        where these may have been encrypted: after them it is chance who is first."""
        if not self._ended:
            self._ended = True
            self._record(time.monotonic(), direction, Message(how))

    def refused(self) -> None:
        self._record(time.monotonic(), "backend", Message("refused"))

    def broken(self, how: str) -> None:
        """FIN or RST to both sides, by the tap."""
        self._ended = True
        for direction in get_args(Direction):
            self._record(time.monotonic(), direction, Message(how, text="by the tap"))

    def forget(self) -> None:
        self.recording.lines.discard(self)
        self.recording.keys.pop((self.side, self._key), None)

    def _record(self, now: float, direction: Direction, message: Message) -> None:
        kind = message.kind
        last = self.last.get(direction) if kind in ROWS else self.latest if kind in OPAQUE else None
        if last and (last.message, last.direction) == (kind, direction):
            last.size += message.size
            last.count += kind in ROWS
            return
        text = (
            f"on a connection of its own, for {self._cancels(message.head)}"
            if kind == "CancelRequest"
            else row(message.head)
            if kind == "DataRow"
            else message.text
        )
        startup = self._notice(direction, message)
        event = Event(
            now, self.side, self, direction, kind, message.name, text, message.size, startup=startup
        )
        self.recording.keep(event)
        self.last[direction] = self.latest = event

    def _notice(self, direction: Direction, message: Message) -> bool:
        """Keep up with the connection's state. Returns whether the message belongs to its start-up or settings."""
        kind, ready = message.kind, self._ready
        if kind not in ENDS:
            self._ended = kind in ("Terminate", "CancelRequest", "TLS", "GSS") or (
                kind == "ErrorResponse" and is_fatal(message.head)
            )
        if direction == "frontend":
            if kind == "StartupMessage":
                self.application = settings(message.head).get("application_name", "")
                _ = self.front  # numbers go by the order of appearance
                self.on_name()
            if kind in ENDS_FLIGHT:
                self._waits = True
            if kind in ("Query", "Sync", "FunctionCall"):
                own = (
                    self.side == "server"
                    and kind == "Query"
                    and OWN_SET.fullmatch(message.head) is not None
                    and message.text not in self.recording.queries
                )
                self._own.append(own)
                if self.side == "client" and kind == "Query":
                    self.recording.queries.append(message.text)
                return own
            return not ready and kind not in SHOWN_AT_STARTUP
        if kind == "BackendKeyData":
            self._key = message.head
            self.recording.keys[self.side, self._key] = self
            if not self.fixed_back:
                self._back = (
                    f"backend {self.recording.letter(int.from_bytes(message.head[:4], 'big'))}"
                )
                self.on_name()
        if self._waits and kind not in UNASKED:
            self._waits = False
            self.recording.trips[self.front, self.application] += self.side == "client"
        own = bool(self._own and self._own[0])
        if kind == "ReadyForQuery":
            self._ready = True
            if self._own:
                self._own.popleft()
        return own or kind == "ParameterStatus" or (not ready and kind not in SHOWN_AT_STARTUP)

    def _cancels(self, key: bytes) -> str:
        """The connection whose query is to be cancelled. The request has a connection of its own, and is shown between the
        same two."""
        victim = self.recording.keys.get((self.side, key))
        if victim is None:
            return "nobody"
        self._front, self._back, self.application = victim.front, victim.back, victim.application
        return victim.label
