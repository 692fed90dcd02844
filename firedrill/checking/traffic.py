"""What a learner's code says through asyncpg while it is checked: counted, and kept for a replay.

asyncpg hands its bytes to a transport and gets them from it; both are listened to there, in this
process. What the check itself asks on the same connections is not counted, and neither is what
psycopg or another process says.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import asyncpg
import asyncpg.protocol

from ..timeline import Recording as Borrowed
from ..timeline import hooks
from ..timeline.picture import draw
from ..wire.messages import Direction
from .sandbox import inside

Figures = dict[str, int]
# Bytes of what led to one criterion. More would count as memory of code that is judged by it.
KEPT = 256 * 1024
HEADER = struct.Struct("!BI")  # of a message: its kind, and its length without the kind
ROWS, READY = b"Dd", ord("Z")  # DataRow, CopyData, ReadyForQuery


class Line:
    """One connection of asyncpg's."""

    def __init__(self, traffic: Traffic, address: Any) -> None:
        self.startup: list[tuple[Direction, bytes]] = []  # what was said before it was ready
        self.port = address[1] if isinstance(address, tuple) else 0
        self.is_ready = False
        self._traffic = traffic
        self._is_theirs = self._was_opened_by_them = inside.get()
        self.is_heard = False  # asyncpg reads what has come
        self._is_asking = False
        self._rest, self._skip = b"", 0  # of a message whose end is still to come
        self._segment = 0  # of the record, up to which everything was kept

    def said(self, buffers: Iterable[Any]) -> None:
        if not self.is_heard:  # a Sync after an error is sent by whoever asked
            self._is_theirs = inside.get()
        self._is_asking = True
        for data in buffers:
            self._keep("frontend", bytes(data))

    def heard(self, data: bytes) -> None:
        whole = data
        if self._segment != self._traffic.segment:  # begin with a message, not inside one
            whole = data[self._skip :] if self._skip else self._rest + data
        self._segment = self._traffic.segment if self._keep("backend", whole) else -1
        if self._is_asking and self.is_ready and self._is_theirs:
            self._traffic.trips += 1
        self._is_asking = False
        self._scan(data)

    def _scan(self, data: bytes) -> None:
        skip, self._skip = self._skip, max(0, self._skip - len(data))
        data, at, rows = self._rest + data[skip:], 0, 0
        while len(data) - at >= HEADER.size:
            kind, size = HEADER.unpack_from(data, at)
            rows += kind in ROWS
            if kind == READY and not self.is_ready:
                self.is_ready = True
                self._traffic.connections += self._was_opened_by_them
            at += 1 + size
        if at > len(data):
            self._skip += at - len(data)
        self._rest = data[at:]
        self._traffic.rows += rows * self._is_theirs

    def _keep(self, direction: Direction, data: bytes) -> bool:
        if self.is_ready:
            return self._is_theirs and self._traffic.keep(self, direction, data)
        self.startup.append((direction, data))
        return True


class Traffic:
    """Entered for the time of a check."""

    def __init__(self) -> None:
        self.trips = self.connections = self.rows = 0
        self.kept: list[tuple[Line, Direction, bytes]] = []  # what led to `about`
        self.lost = 0  # pieces for which there was no room
        self.about = ""  # the criterion that was not met first, or else the last one
        self.borrowed = Borrowed(draw)
        self.segment = 0  # one for each criterion that was met
        self._size, self._began_at = 0, 0.0
        self._is_over = self._is_told = False

    @property
    def figures(self) -> Figures:
        """What the code has done. The opening of a connection is not counted as round trips."""
        return {
            "round trips": self.trips,
            "connections opened": self.connections,
            "waits for a pool's connection": sum(one.waited for one in self._watch.borrows),
            "rows received": self.rows,
        }

    def keep(self, line: Line, direction: Direction, data: bytes) -> bool:
        """Whether there was room for it. What led to criteria that were met makes room."""
        if self._is_over:
            return False
        if self._is_told:
            self._is_told, self._size, self.lost = False, 0, 0
            self._began_at = self._watch.now()
            self.kept.clear()
        if self.lost or self._size + len(data) > KEPT:
            self.lost += 1
            return False
        self._size += len(data)
        self.kept.append((line, direction, data))
        return True

    def noted(self, what: str, met: bool) -> None:
        """A criterion. The first one that is not met ends the record, and no count."""
        if self._is_over:
            return
        self.about, self._is_told, self._is_over = what, met, not met
        self.segment += met
        self.borrowed.borrows = [
            replace(one)
            for one in self._watch.borrows
            if one.returned is None or one.returned >= self._began_at
        ]
        self.borrowed.opened = {**self._watch.opened}
        self.borrowed.closed = {**self._watch.closed}
        self.borrowed.ended = self._watch.now()

    def terminate(self) -> None:
        """End the pools of a check that was stopped: asyncpg would go on opening connections."""
        for pool in [*self._pools]:
            with contextlib.suppress(asyncpg.InterfaceError):  # one that never came to be
                pool.terminate()

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        recorded = hooks.recorded_wherever(inside.get, draw)
        self._watch, self._pools = self._stack.enter_context(recorded)
        self._original = asyncpg.protocol.Protocol
        asyncpg.protocol.Protocol = _listening(self._original, self)
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        self._is_over = True
        asyncpg.protocol.Protocol = self._original
        self._stack.close()


def _listening(original: Any, traffic: Traffic) -> Any:
    class Protocol(original):
        def __init__(self, address: Any, *arguments: Any) -> None:
            super().__init__(address, *arguments)
            self.line = Line(traffic, address)

        def connection_made(self, transport: Any) -> None:
            super().connection_made(_Transport(transport, self.line.said))

        def data_received(self, data: bytes) -> None:
            self.line.heard(data)
            self.line.is_heard = True
            super().data_received(data)
            self.line.is_heard = False

    return Protocol


class _Transport:
    """The transport, with an ear for what is written to it."""

    def __init__(self, transport: Any, said: Callable[[Iterable[Any]], None]) -> None:
        self._transport, self._said = transport, said

    def write(self, data: Any) -> None:
        self._said((data,))
        self._transport.write(data)

    def writelines(self, buffers: Iterable[Any]) -> None:
        buffers = [*buffers]
        self._said(buffers)
        self._transport.writelines(buffers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
