"""One client's connection through the proxy: two sockets. Every byte goes on as it came; a link can delay, hold, cut and reset.

Everything here runs in the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from .line import Line
from .messages import Direction

if TYPE_CHECKING:
    from .proxy import Proxy

# Bytes that a delayed direction keeps before it stops to read: as much as an asyncio transport does by default.
QUEUED = 64 * 1024


class End(asyncio.Protocol):
    """One socket of a link. What arrives on it goes to `peer`."""

    transport: asyncio.Transport
    peer: End

    def __init__(self, link: Link, direction: Direction) -> None:
        self.link, self.direction = link, direction
        self.loop = asyncio.get_running_loop()
        self.is_open = False
        self.is_read = False  # asyncio has begun to read it
        self.at_end = False  # it will send no more
        self._holds: set[str] = set()
        self._queue: deque[tuple[float, bytes]] = deque()  # due times; b"" is the end
        self._queued = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.is_open = transport, True
        if self.direction == "frontend":
            self.link.accepted()
        elif self.link.is_cut or not self.peer.is_open:
            self.transport.abort()  # ended while this connection was under way
        # Python 3.11.2, Debian 12's, begins to read after this method, even if the transport was paused in it.
        self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self.is_read = True
        if self._holds and self.is_open:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.link.is_cut:
            return
        self._forward(data)
        # After the forwarding, which it would slow down. Who reads the recording asks this thread for it, hence not too early.
        self.link.line.sent(self.direction, data)

    def eof_received(self) -> bool:
        self.at_end = True
        if not self.link.is_cut:
            self.link.line.ended(self.direction, "FIN")
            self._forward(b"")
        self.link.close_if_over()
        return True  # the other direction may still have something to say

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open, self.at_end = False, True
        if error and not self.link.is_cut:
            self.link.line.ended(self.direction, "RST")
            self.peer.reset()
        elif not self._queue:
            self.peer.end()
        self.link.close_if_over()

    def pause_writing(self) -> None:
        self.peer.hold("pressure")

    def resume_writing(self) -> None:
        self.peer.release("pressure")

    def hold(self, why: str) -> None:
        self._holds.add(why)
        if self.is_open and self.is_read:
            self.transport.pause_reading()

    def release(self, why: str) -> None:
        self._holds.discard(why)
        if not self._holds and self.is_open and not self.transport.is_closing():
            self.transport.resume_reading()

    def end(self) -> None:
        """Say, after all that was written, that no more will come: FIN."""
        if self.is_open and not self.transport.is_closing() and self.transport.can_write_eof():
            with contextlib.suppress(
                OSError
            ):  # it has left with a reset, which the transport is about to notice
                self.transport.write_eof()

    def reset(self) -> None:
        """RST: to close a socket with a linger time of 0 throws away what is under way."""
        self._queue.clear()
        if self.is_open:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()

    def drain(self) -> None:
        """Deliver what is due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._queue and not self.link.is_held and self._queue[0][0] <= self.loop.time():
            self._deliver(self._queue.popleft()[1])
        if self._queue and not self.link.is_held:
            self._timer = self.loop.call_at(self._queue[0][0], self.drain)

    def drop(self) -> None:
        self._queue.clear()
        self._holds.clear()
        self.release("")

    def _forward(self, data: bytes) -> None:
        if not (self._queue or self.link.delay or self.link.is_held):
            self._write(data)
            return
        self._queue.append((self.loop.time() + self.link.delay, data))
        self._queued += len(data)
        if self._queued > QUEUED:
            self.hold("queue")
        if not self._timer and not self.link.is_held:
            self._timer = self.loop.call_at(self._queue[0][0], self.drain)

    def _deliver(self, data: bytes) -> None:
        self._queued -= len(data)
        if self._queued <= QUEUED:
            self.release("queue")
        self._write(data)
        self.link.close_if_over()

    def _write(self, data: bytes) -> None:
        if not data:
            self.peer.end()
        elif self.peer.is_open and not self.peer.transport.is_closing():
            self.peer.transport.write(data)

    @property
    def is_empty(self) -> bool:
        return not self._queue


class Link:
    """The two sockets of one client's connection."""

    def __init__(self, line: Line, proxy: Proxy) -> None:
        self.line, self.proxy = line, proxy
        self.client, self.server = End(self, "frontend"), End(self, "backend")
        self.client.peer, self.server.peer = self.server, self.client
        self.ends = (self.client, self.server)
        self.delay = 0.0  # seconds, each way
        self.is_held = self.is_cut = False
        line.on_name = lambda: proxy.apply_faults(self)

    def accepted(self) -> None:
        """Nobody is read from until there is somebody to tell it."""
        self.client.hold("connecting")
        self.proxy.apply_faults(self)
        self.connecting = self.client.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self.client.loop.create_connection(lambda: self.server, *self.proxy.upstream)
        except OSError:
            self.line.refused()
            self.client.reset()  # a refusal would be too late: the client's connection has been accepted
        else:
            self.client.release("connecting")

    def hold(self, is_held: bool) -> None:
        """Deliver nothing until it is let go again. What is not read is kept by the operating system, in order."""
        self.is_held = is_held
        for end in self.ends:
            end.hold("stall") if is_held else end.release("stall")
            end.drain()

    def cut(self) -> None:
        """Both sides are told that the other one has ended. What they still say is thrown away, or it would be a RST."""
        self.is_cut = True
        self.line.broken("FIN")
        for end in self.ends:
            end.drop()
            end.end()

    def reset(self) -> None:
        self.is_cut = True
        self.line.broken("RST")
        for end in self.ends:
            end.reset()

    def close_if_over(self) -> None:
        if all(end.at_end and (end.is_empty or not end.peer.is_open) for end in self.ends):
            for end in self.ends:
                if end.is_open:
                    end.transport.close()  # after what is written
        if not any(end.is_open for end in self.ends):
            self.proxy.forget(self)
