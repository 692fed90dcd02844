"""A TCP proxy: a listening socket and the links of its clients, each with two sockets.

Every byte goes on as it came. A link can delay, hold, cut and reset. Everything here runs in the
thread of one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable

from .connection import Connection
from .messages import Direction
from .recorder import Recorder

# Bytes that a delayed direction keeps before it stops to read: as much as an asyncio transport does
# by default.
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
        # Python 3.11.2 (Debian 12) begins to read after this method, even if the transport was
        # paused in it.
        self.loop.call_soon(self._begin)

    def _begin(self) -> None:
        self.is_read = True
        if self._holds and self.is_open:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        if self.link.is_cut:
            return
        self._forward(data)
        # After the forwarding, which it would slow down. Readers of the recording ask this thread
        # for it, so they do not come too early.
        self.link.said(self.direction, data)

    def eof_received(self) -> bool:
        self.at_end = True
        if not self.link.is_cut:
            self.link.ended(self.direction, "FIN")
            self._forward(b"")
        self.link.close_if_over()
        return True  # the other direction may still have something to say

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open, self.at_end = False, True
        if error and not self.link.is_cut:
            self.link.ended(self.direction, "RST")
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
            # It may have left with a reset, which the transport is about to notice.
            with contextlib.suppress(OSError):
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

    def __init__(self, connection: Connection, proxy: Proxy) -> None:
        self.connection, self.proxy, self.recorder = connection, proxy, proxy.recorder
        self.client, self.server = End(self, "frontend"), End(self, "backend")
        self.client.peer, self.server.peer = self.server, self.client
        self.ends = (self.client, self.server)
        self.delay = 0.0  # seconds, each way
        self.is_held = self.is_cut = False

    def said(self, direction: Direction, data: bytes) -> None:
        if self.recorder.sent(self.connection, direction, data):
            self.proxy.apply_faults(self)

    def ended(self, direction: Direction, how: str) -> None:
        self.recorder.ended(self.connection, direction, how)

    def accepted(self) -> None:
        """Nobody is read from until there is somebody to tell it."""
        self.client.hold("connecting")
        self.proxy.apply_faults(self)
        self.connecting = self.client.loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self.client.loop.create_connection(lambda: self.server, *self.proxy.upstream)
        except OSError:
            self.recorder.refused(self.connection)
            # A refusal would be too late: the client's connection has been accepted.
            self.client.reset()
        else:
            self.client.release("connecting")

    def hold(self, is_held: bool) -> None:
        """Deliver nothing until it is let go again. The operating system keeps what is not read."""
        self.is_held = is_held
        for end in self.ends:
            end.hold("stall") if is_held else end.release("stall")
            end.drain()

    def cut(self) -> None:
        """Tell both sides that the other one has ended. What they still say is thrown away, or it
        would be a RST."""
        self.is_cut = True
        self.recorder.broken(self.connection, "FIN")
        for end in self.ends:
            end.drop()
            end.end()

    def reset(self) -> None:
        self.is_cut = True
        self.recorder.broken(self.connection, "RST")
        for end in self.ends:
            end.reset()

    def close_if_over(self) -> None:
        if all(end.at_end and (end.is_empty or not end.peer.is_open) for end in self.ends):
            for end in self.ends:
                if end.is_open:
                    end.transport.close()  # after what is written
        if not any(end.is_open for end in self.ends):
            self.proxy.forget(self)


class Proxy:
    """Listens on a free port and connects each client to `upstream`.

    `open` makes the record of a connection. `apply_faults` is called for each link that is new or
    has got a name.
    """

    def __init__(
        self,
        recorder: Recorder,
        open: Callable[[], Connection],
        upstream: tuple[str, int],
        apply_faults: Callable[[Link], None],
    ) -> None:
        self.links: set[Link] = set()
        self.recorder, self.upstream, self.apply_faults = recorder, upstream, apply_faults
        self._open = open
        self._server: asyncio.Server | None = None

    async def listen(self, host: str) -> int:
        """Returns the port. Raises OSError when `host` is no address of this machine."""
        self._server = await asyncio.get_running_loop().create_server(
            self._accept, host, 0, backlog=512
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def _accept(self) -> End:
        link = Link(self._open(), self)
        self.links.add(link)
        return link.client

    def forget(self, link: Link) -> None:
        self.links.discard(link)
        self.recorder.forget(link.connection)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server:
            self._server.close()
        for link in [*self.links]:
            link.connecting.cancel()
            for end in link.ends:
                if end.is_open:
                    end.transport.abort()
