"""What may happen to a proxy: ends that vanish, are silent, talk garbage, or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import random
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import psycopg
import pytest

from firedrill import wire
from firedrill.servers import Stack

from ..leftovers import eventually
from .common import raw, said, until


def test_clients_that_are_silent_vanish_or_talk_garbage_harm_nobody(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            good = await asyncpg.connect(
                tap.dsn("session"), server_settings={"application_name": "good"}
            )
            with raw(tap):
                await until(lambda: len(tap._client_side.links) == 2)
                assert await good.fetchval("select 1") == 1
            await until(lambda: len(tap._client_side.links) == 1)
            for data in (
                b"GET / HTTP/1.1\r\n\r\n",
                random.Random(1).randbytes(200_000),
                b"\0" * 100,
                struct.pack("!II", 8, 196608) + b"\xff" * 50,
                struct.pack("!II", 10_000, 196608),
                b"\x16\x03\x01garbage",
                struct.pack("!II", 8, 80877103) * 3,
            ):
                with raw(tap) as client, contextlib.suppress(OSError):
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                assert await good.fetchval("select 1") == 1
            await until(lambda: len(tap._client_side.links) == 1)
            # In the middle of a message, with a RST.
            with raw(tap) as client:
                client.sendall(struct.pack("!II", 500, 196608) + b"user\0")
                await until(lambda: len(tap._client_side.links) == 2)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await until(lambda: len(tap._client_side.links) == 1)
            assert await good.fetchval("select 1") == 1
            assert "garbage" in repr(tap.table(startup=True))
            await good.close()

    asyncio.run(main())


@contextlib.contextmanager
def server_that(answer: Callable[[socket.socket], Any]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    with client:
                        client.recv(1000)
                        answer(client)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xfe" * 100_000, b"S\x15\x03", b"R"],
    ids=["nothing", "HTTP", "noise", "TLS", "half a message"],
)
def test_servers_that_vanish_or_talk_garbage_reach_the_client_as_they_are(
    stack: Stack, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_that(lambda client: client.sendall(answer)) as port:
        monkeypatch.setattr(stack.postgres, "port", port)
        with wire.tap(stack, in_front_of="postgres") as tap, raw(tap) as client:
            client.sendall(struct.pack("!II", 8, 80877103))
            assert client.makefile("rb").read() == answer
            client.close()
            assert eventually(lambda: not tap._client_side.links)
            assert tap.events[0].message == "SSLRequest"


def test_a_server_that_is_not_there_resets_the_client(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh, in_front_of="postgres") as tap:
            with fresh.postgres.down("kill"):
                with pytest.raises(OSError):  # noqa: PT011  ConnectionResetError, or asyncpg's own ConnectionError
                    await asyncpg.connect(tap.dsn())
                assert said(tap)[-1][1] == "refused"
            connection = await asyncpg.connect(tap.dsn())
            assert await connection.fetchval("select 1") == 1
            tap.clear()
            with fresh.postgres.down("kill"):
                await until(connection.is_closed)
                assert said(tap)[0][1] in ("FIN", "RST")

    asyncio.run(main())


def test_a_half_closed_connection_still_gets_its_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(client: socket.socket) -> None:
        while client.recv(1000):
            pass
        client.sendall(b"late" * 100_000)

    with server_that(answer) as port:
        monkeypatch.setattr(stack.postgres, "port", port)
        with wire.tap(stack, in_front_of="postgres") as tap, raw(tap) as client:
            client.sendall(b"something")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"late" * 100_000


def test_a_reader_that_does_not_read_is_waited_for(stack: Stack) -> None:
    with (
        wire.tap(stack, in_front_of="postgres") as tap,
        psycopg.connect(tap.dsn(), autocommit=True) as connection,
    ):
        (link,) = tap._client_side.links
        connection.pgconn.send_query(b"select repeat('x', 100000) from generate_series(1, 2000)")
        connection.pgconn.flush()
        assert eventually(lambda: "pressure" in link.server._holds)
        assert link.client.transport.get_write_buffer_size() < 1 << 20
        # get_result alone would wait in C, with the interpreter's lock held: the proxy could not go
        # on.
        while connection.pgconn.is_busy():
            assert select.select([connection], [], [], 10)[0]
            connection.pgconn.consume_input()
        result = connection.pgconn.get_result()
        assert result is not None
        assert result.ntuples == 2000
        assert connection.pgconn.get_result() is None


def test_two_hundred_connections(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh) as tap:

            async def one(number: int) -> int:
                connection = await asyncpg.connect(tap.dsn("transaction"), timeout=30)
                try:
                    return int(await connection.fetchval("select $1::int", number))
                finally:
                    await connection.close()

            assert await asyncio.gather(*map(one, range(200))) == [*range(200)]
            await until(lambda: not tap._client_side.links)
            assert len(tap._recorder.connections) == len(tap._server_side.links)

    asyncio.run(main())


OTHER_PROCESS = """
import asyncio, asyncpg, sys
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    print(await connection.fetchval("select 42"))
asyncio.run(main())
"""


def test_it_forwards_while_the_notebooks_loop_is_blocked(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            # subprocess.run blocks this loop as time.sleep does.
            done = subprocess.run(
                [sys.executable, "-c", OTHER_PROCESS, tap.dsn("session")],
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert done.stdout == "42\n", done.stderr

    asyncio.run(main())
