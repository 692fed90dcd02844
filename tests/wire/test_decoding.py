"""The decoder: however a stream is cut, and whatever is in it."""

from __future__ import annotations

import asyncio
import io
import random
import struct
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from firedrill import wire
from firedrill.servers import Stack
from firedrill.wire.connection import Connection
from firedrill.wire.messages import Direction
from firedrill.wire.recorder import KEPT, Recorder
from firedrill.wire.table import flights

from .common import with_psycopg

Chunk = tuple[Direction, bytes]


@pytest.fixture
def chunks(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> list[Chunk]:
    """A whole conversation as it came, connection by connection."""
    found: dict[Connection, list[Chunk]] = {}
    original = Recorder.sent

    def sent(self: Recorder, connection: Connection, direction: Direction, data: bytes) -> bool:
        found.setdefault(connection, []).append((direction, data))
        return original(self, connection, direction, data)

    monkeypatch.setattr(Recorder, "sent", sent)
    with wire.tap(stack, in_front_of="postgres") as tap:
        asyncio.run(request.param(tap.dsn()))
    return max(found.values(), key=len)


async def small(dsn: str) -> None:
    """All kinds of messages, few bytes."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "small"})
    await connection.execute("create temp table t (i int, t text)")
    await connection.copy_records_to_table(
        "t", records=[(number, "x" * 5000) for number in range(3)]
    )
    await connection.copy_from_query("select * from t", output=io.BytesIO())
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetch("selekt")
    await connection.fetch("select * from t where i > $1", 0)
    await connection.execute(
        "do $$ begin raise notice 'hear'; end $$; listen news; notify news, 'all'"
    )
    async with connection.transaction():
        assert [row async for row in connection.cursor("select 1")]
    await connection.close()


def replayed(chunks: list[Chunk], pieces: Callable[[bytes], list[bytes]]) -> list[tuple[Any, ...]]:
    recorder = Recorder(lambda pid: "A")
    connection = recorder.open("client")
    for direction, data in chunks:
        for piece in pieces(data):
            recorder.sent(connection, direction, piece)
    return [
        (
            event.direction,
            event.message,
            event.detail,
            event.size,
            event.count,
            event.startup,
            event.source,
        )
        for event in recorder.events
    ]


@pytest.mark.parametrize("chunks", [small, with_psycopg], indirect=True)
def test_a_stream_gives_the_same_events_however_it_is_cut(chunks: list[Chunk]) -> None:
    joined: list[Chunk] = []
    for direction, data in chunks:
        if joined and joined[-1][0] == direction:
            joined[-1] = (direction, joined[-1][1] + data)
        else:
            joined.append((direction, data))
    whole = replayed(joined, lambda data: [data])
    assert len({event[1] for event in whole}) > 15
    assert replayed(chunks, lambda data: [data]) == whole

    def at_random(data: bytes) -> list[bytes]:
        places = sorted(random.Random(len(data)).choices(range(len(data)), k=min(len(data), 50)))
        return [
            data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)
        ]

    assert replayed(joined, at_random) == whole
    if sum(len(data) for _, data in chunks) < 100_000:
        assert (
            replayed(joined, lambda data: [data[at : at + 1] for at in range(len(data))]) == whole
        )


def test_what_is_no_message_is_shown_as_such() -> None:
    recorder = Recorder(lambda pid: "A")
    start = struct.pack("!II", 8, 196608)
    connection = recorder.open("client", back="PgBouncer")
    recorder.sent(connection, "frontend", start + b"x" + struct.pack("!I", 11) + b"seven..")
    recorder.sent(
        connection, "backend", b"\xff" + struct.pack("!I", 4) + b"Z" + struct.pack("!I", 5) + b"I"
    )
    recorder.sent(connection, "frontend", b"GET / HTTP/1.1\r\n")
    recorder.sent(connection, "frontend", b"Host: a\r\n")
    recorder.sent(connection, "backend", b"HTTP/1.1 200 OK\r\n")
    assert [(event.message, event.text, event.size) for event in recorder.events] == [
        ("StartupMessage", "", 8),
        ("unknown 'x'", "12 bytes", 12),
        ("unknown 0xff", "5 bytes", 5),
        ("ReadyForQuery", "", 6),
        ("garbage", "", 25),
        ("garbage", "", 17),
    ]
    shown = [(flight.messages, flight.detail) for flight in flights(recorder.events, startup=True)]
    assert ("garbage", "25 bytes") in shown


def test_cut_off_and_random_messages_break_nothing() -> None:
    chance = random.Random(1)
    for _ in range(300):
        recorder = Recorder(lambda pid: "A")
        connection = recorder.open("client")
        if chance.random() < 0.8:
            recorder.sent(connection, "frontend", struct.pack("!II", 8, 196608))
        for _ in range(30):
            size = chance.randrange(40)
            letter = chance.choice(b"BCdcfDEHFPpQSXKGWAtTRZvVNs12n3I")
            message = bytes([letter]) + struct.pack("!I", 4 + size) + chance.randbytes(size)
            recorder.sent(connection, chance.choice(["frontend", "backend"]), message)
        assert repr(flights(recorder.events, startup=True)[-1].messages)


def test_a_recording_is_bounded_and_says_what_is_missing(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, in_front_of="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn())
            tap.clear()
            await connection.executemany("select $1::int", [(number,) for number in range(KEPT)])
            assert len(tap.events) == KEPT
            assert (
                tap.table(startup=True)
                .rows[0]["message"]
                .endswith("earlier messages were not kept")
            )
            tap.clear()
            await connection.fetch("select generate_series(1, 30000)")
            assert [event.count for event in tap.events if event.message == "DataRow"] == [30000]
            assert len(tap.events) < 20
            assert tap.table().rows[0]["nr"] == 1
            await connection.close()

    asyncio.run(main())
