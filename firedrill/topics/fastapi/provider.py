"""A payment service that answers when its gate is open, and counts who asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx

REFUSED, BROKEN = 190, 191  # customers: one is refused, on the other it hangs up


class Provider:
    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.charged: Counter[int] = Counter()  # by seat
        self.asked: Counter[int] = Counter()  # by customer
        self.now = self.most = 0
        self.arrived = 0.0
        self.connections: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, ConnectionError, KeyError, ValueError
        ):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                query = httpx.URL(head.split()[1]).params
                customer, seat = int(query["customer"]), int(query["seat"])
                self.asked[customer] += 1
                self.now, self.arrived = self.now + 1, time.monotonic()
                self.most = max(self.most, self.now)
                await self.gate.wait()
                self.now -= 1
                if customer == BROKEN:
                    break
                status = b"402 Payment Required" if customer == REFUSED else b"200 OK"
                self.charged[seat] += customer != REFUSED
                writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")
        writer.close()


@contextlib.asynccontextmanager
async def provided() -> AsyncIterator[tuple[Provider, str]]:
    """A provider, and its URL. Enter it before the services that connect to it."""
    provider = Provider()
    listener = await asyncio.start_server(provider, "127.0.0.1", 0)
    try:
        yield provider, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        provider.gate.set()
        if provider.connections:
            await asyncio.wait(provider.connections, timeout=5)
