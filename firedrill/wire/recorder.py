"""The recorder: what the messages of all connections mean, and which of them are shown."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import get_args

from .bodies import is_fatal, row, settings
from .connection import Connection, Side
from .event import ENDS, OPAQUE, ROWS, Event
from .messages import Direction, Message

KEPT = 10_000  # events: some MB
ENDS_FLIGHT = {"Sync", "Flush", "Query", "FunctionCall"}
HAS_READY = {"Query", "Sync", "FunctionCall"}  # answered by a ReadyForQuery
LAST_WORDS = {"Terminate", "CancelRequest", "TLS", "GSS"}
UNASKED = {"NoticeResponse", "NotificationResponse", "ParameterStatus"} | ENDS
SHOWN_AT_STARTUP = {"CancelRequest", "ErrorResponse", "NoticeResponse"} | OPAQUE | ENDS
# How PgBouncer gives a server connection the settings of the client that gets it, before the
# client's own message.
OWN_SET = re.compile(rb"(SET \w+='([^']|'')*';)+\0")


class Recorder:
    """Events in order, and the state of each connection. One thread records and reads.

    `letter` names a backend by its process number.
    """

    def __init__(self, letter: Callable[[int], str]) -> None:
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.forgotten = 0  # events that had to make room
        self.trips: Counter[tuple[str, str]] = Counter()  # round trips by label and application
        self.connections: set[Connection] = set()
        self._letter = letter
        self._keys: dict[tuple[Side, bytes], Connection] = {}  # who may be cancelled with which key
        # The clients' queries, to tell them from PgBouncer's own.
        self._queries: deque[str] = deque(maxlen=100)
        self._last: dict[tuple[Connection, Direction], Event] = {}
        self._latest: dict[Connection, Event] = {}
        self._names: Counter[str] = Counter()
        self._numbers = itertools.count(1)

    def open(self, side: Side, front: str = "", back: str = "") -> Connection:
        """A new connection. `front` and `back` name its ends, where they are known already."""
        connection = Connection(side, next(self._numbers), front, back)
        self.connections.add(connection)
        return connection

    def sent(self, connection: Connection, direction: Direction, data: bytes) -> bool:
        """Record what `data` completes. Returns whether an end has got a name by it.

        Never raises: what cannot be read is garbage from then on.
        """
        now, names = time.monotonic(), connection.names
        try:
            for message in connection.conversation.feed(direction, data):
                self._record(now, connection, direction, message)
        except Exception:
            connection.conversation.give_up(direction)
        return connection.names != names

    def ended(self, connection: Connection, direction: Direction, how: str) -> None:
        """FIN or RST. Only the first end is recorded, and none after a Terminate or a FATAL error.

        Those announce the end, and after them, or where they may have been encrypted, it is chance
        which side closes first.
        """
        if not connection.has_ended:
            connection.has_ended = True
            self._record(time.monotonic(), connection, direction, Message(how))

    def refused(self, connection: Connection) -> None:
        self._record(time.monotonic(), connection, "backend", Message("refused"))

    def broken(self, connection: Connection, how: str) -> None:
        """FIN or RST to both sides, by the tap."""
        connection.has_ended = True
        for direction in get_args(Direction):
            self._record(time.monotonic(), connection, direction, Message(how, text="by the tap"))

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        self._keys.pop((connection.side, connection.key), None)
        self._latest.pop(connection, None)
        for direction in get_args(Direction):
            self._last.pop((connection, direction), None)

    def clear(self) -> None:
        self.events.clear()
        self.trips.clear()
        self.forgotten = 0
        self._last.clear()
        self._latest.clear()

    def _record(
        self, now: float, connection: Connection, direction: Direction, message: Message
    ) -> None:
        kind, last = message.kind, None
        if kind in ROWS:
            last = self._last.get((connection, direction))
        elif kind in OPAQUE:
            last = self._latest.get(connection)
        if last and (last.message, last.direction) == (kind, direction):
            last.size += message.size
            last.count += kind in ROWS
            return
        text = message.text
        if kind == "CancelRequest":
            victim = self._cancels(connection, message.head)
            text = f"on a connection of its own, for {victim}"
        elif kind == "DataRow":
            text = row(message.head)
        startup = self._notice(connection, direction, message)
        if not startup and not connection.front:
            connection.front = self._name(connection.application)
        event = Event(
            now, connection, direction, kind, message.name, text, message.size, startup=startup
        )
        self.forgotten += len(self.events) == KEPT
        self.events.append(event)
        self._last[connection, direction] = self._latest[connection] = event

    def _notice(self, connection: Connection, direction: Direction, message: Message) -> bool:
        """Keep up with the connection's state. Is the message part of its start-up or settings?"""
        kind = message.kind
        if kind not in ENDS:
            is_last_error = kind == "ErrorResponse" and is_fatal(message.head)
            connection.has_ended = kind in LAST_WORDS or is_last_error
        if direction == "frontend":
            return self._asked(connection, message)
        return self._answered(connection, message)

    def _asked(self, connection: Connection, message: Message) -> bool:
        kind = message.kind
        if kind == "StartupMessage":
            connection.application = settings(message.head).get("application_name", "")
            if not connection.front:
                connection.front = self._name(connection.application)
        if kind in ENDS_FLIGHT:
            connection.is_waiting = True
        if kind not in HAS_READY:
            return not connection.is_ready and kind not in SHOWN_AT_STARTUP
        is_own = (
            connection.side == "server"
            and kind == "Query"
            and OWN_SET.fullmatch(message.head) is not None
            and message.text not in self._queries
        )
        connection.own.append(is_own)
        if connection.side == "client" and kind == "Query":
            self._queries.append(message.text)
        return is_own

    def _answered(self, connection: Connection, message: Message) -> bool:
        kind, was_ready = message.kind, connection.is_ready
        if kind == "BackendKeyData":
            connection.key = message.head
            self._keys[connection.side, connection.key] = connection
            if not connection.back:
                process = int.from_bytes(message.head[:4], "big")
                connection.back = f"backend {self._letter(process)}"
        if connection.is_waiting and kind not in UNASKED:
            connection.is_waiting = False
            self.trips[connection.front, connection.application] += connection.side == "client"
        is_own = bool(connection.own and connection.own[0])
        if kind == "ReadyForQuery":
            connection.is_ready = True
            if connection.own:
                connection.own.popleft()
        return (
            is_own or kind == "ParameterStatus" or (not was_ready and kind not in SHOWN_AT_STARTUP)
        )

    def _cancels(self, connection: Connection, key: bytes) -> str:
        """The connection whose query is to be cancelled. The request has a connection of its own,
        and is shown between the same two ends."""
        victim = self._keys.get((connection.side, key))
        if victim is None:
            return "nobody"
        connection.front, connection.back = victim.front, victim.back
        connection.application = victim.application
        return victim.label

    def _name(self, application: str) -> str:
        """A name that no other client has: its application_name, with a number from the second."""
        self._names[application] += 1
        number = self._names[application]
        if not application:
            return f"client {number}"
        return application if number == 1 else f"{application} {number}"
