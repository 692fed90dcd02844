"""Peers and resolvers that fail, for as long as a `with` lasts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest.mock import patch

NAME = "db.encore.example"
_lookup = socket.getaddrinfo


@contextlib.contextmanager
def name_of(*hosts: str, error: int = 0, times: int = 10**6) -> Iterator[list[str]]:
    """NAME has these addresses; so many times, its resolver says `error` first. Gives the asks."""
    asked: list[str] = []

    def answer(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != NAME:
            return _lookup(host, *arguments, **options)
        asked.append(host)
        if error and len(asked) <= times:
            raise socket.gaierror(error, "as the resolver says it")
        return [address for one in hosts for address in _lookup(one, *arguments, **options)]

    with patch("socket.getaddrinfo", answer):
        yield asked


@contextlib.asynccontextmanager
async def that_hangs_up() -> AsyncIterator[tuple[int, Callable[[], int]]]:
    """A proxy without its server: accepts and closes. Gives its port, and how often it did."""
    times: list[bool] = []

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        times.append(True)
        await reader.read(8)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], lambda: len(times)
    finally:
        server.close()
