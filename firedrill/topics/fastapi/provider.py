"""A payment service that answers when a gate is open, and counts who asks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator

import httpx

# Customers who are not answered 200: the card is refused, it hangs up, its own fault, too many
# requests; SILENT is charged and gets no answer.
REFUSED, BROKEN, FAILING, BUSY, SILENT = 190, 191, 192, 193, 194
LEAVING = 195  # is answered when `later` is set
SLOW, A_WHILE = 198, 3.0  # is answered after so many seconds
ANSWERS = {
    REFUSED: b"402 Payment Required",
    FAILING: b"500 Internal Server Error",
    BUSY: b"429 Too Many Requests",
}


class Provider:
    def __init__(self) -> None:
        self.gate, self.later, self.end = asyncio.Event(), asyncio.Event(), asyncio.Event()
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
                if customer < REFUSED:
                    self.now, self.arrived = self.now + 1, time.monotonic()
                    self.most = max(self.most, self.now)
                    await self.gate.wait()
                    self.now -= 1
                self.charged[seat] += customer not in (BROKEN, *ANSWERS)
                if customer == SILENT:
                    await self.end.wait()
                if customer == LEAVING:
                    await self.later.wait()
                if customer == SLOW:
                    await asyncio.sleep(A_WHILE)
                if customer in (BROKEN, SILENT):
                    break
                status = ANSWERS.get(customer, b"200 OK")
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
        for event in (provider.gate, provider.later, provider.end):
            event.set()
        if provider.connections:
            await asyncio.wait(provider.connections, timeout=5)
