"""The recording proxy: it changes nothing, it shows what was said, it survives what vanishes, and it goes when it should."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import random
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, LiteralString

import asyncpg
import psutil
import psycopg
import pytest
import trustme

from firedrill import pictures, servers, tls, views, wire, worker
from firedrill.servers import Stack, Unavailable, debian, docker
from firedrill.wire import picture
from firedrill.wire.line import Line
from firedrill.wire.messages import Direction
from firedrill.wire.recording import KEPT, Recording
from firedrill.wire.table import flights

from .leftovers import eventually
from .test_docker import needs_engine

Chunk = tuple[Direction, bytes]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with servers.open("embedded") as stack:
        yield stack


@pytest.fixture(autouse=True)
def first_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncpg counts the names of its statements for the whole process: begin with 1."""
    monkeypatch.setattr(asyncpg.connection, "_uid", 0)


@pytest.fixture
def fresh() -> Iterator[Stack]:
    """A pair that a test may spoil."""
    with servers.open("embedded") as stack:
        yield stack


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait for it without stopping the loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0)


def sent(tap: wire.Tap, client: str = "app") -> list[str]:
    """What a client sent, flight by flight."""
    return [flight.messages for flight in flights(tap.events) if flight.source == client]


def said(tap: wire.Tap) -> list[tuple[str, str, str]]:
    return [(row["from → to"], row["message"], row["detail"]) for row in tap.table().rows]


# The same results with and without

async def with_asyncpg(dsn: str) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    notices: list[str] = []
    notified: list[Any] = []
    connection.add_log_listener(lambda _, message: notices.append(str(message)))
    await connection.add_listener("news", lambda _, __, channel, payload: notified.append((channel, payload)))
    found: list[Any] = [await connection.fetch("select id, label, price_cents from seats order by id limit 200")]
    await connection.execute("create temp table t (i int primary key, b bytea)")
    await connection.executemany("insert into t values ($1, $2)", [(number, bytes(number)) for number in range(500)])
    await connection.copy_records_to_table("t", records=[(number, b"x" * 100) for number in range(1000, 3000)])
    out = io.BytesIO()
    await connection.copy_from_table("t", output=out)
    found.append(out.getvalue())
    for query in ("selekt", "insert into t values (1, null)", "select 1 / 0"):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.fetch(query)
        found.append(str(caught.value))
    async with connection.transaction():
        found.append([row[0] async for row in connection.cursor("select i from t order by i", prefetch=77)])
    await connection.execute("do $$ begin raise notice 'hear'; end $$; notify news, 'all'")
    found.append(await connection.fetchval("select repeat('x', 20_000_000)"))
    found.append(await connection.fetchval("select length($1)", "y" * 20_000_000))
    with pytest.raises(TimeoutError):
        await connection.fetchval("select pg_sleep(60)", timeout=0.1)
    found.append(await connection.fetchval("select 'cancelled and well'"))
    await until(lambda: notified and notices)
    await connection.close()
    return [*found, notices, notified]


async def with_psycopg(dsn: str) -> list[Any]:
    found: list[Any] = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("create temp table p (i int primary key, t text)")
        async with connection.pipeline():
            cursors = [await connection.execute("insert into p values (%s, %s) returning i", (number, "z" * number))
                       for number in range(100)]
        found.append([await cursor.fetchall() for cursor in cursors])

        async def failing() -> None:
            async with connection.pipeline():
                for number in (1000, 1, 1001):
                    await connection.execute("insert into p values (%s, '')", (number,))

        with pytest.raises(psycopg.errors.UniqueViolation):
            await failing()
        async with connection.cursor() as cursor:
            async with cursor.copy("copy p from stdin") as copy:
                for number in range(2000, 4000):
                    await copy.write_row((number, "copied"))
            async with cursor.copy("copy p to stdout") as copy:
                found.append(b"".join([bytes(data) async for data in copy]))
            with pytest.raises(ValueError, match="given up"):
                async with cursor.copy("copy p from stdin"):
                    raise ValueError("given up")
        async with connection.transaction(), connection.cursor("server_side") as named:
            await named.execute("select i from p order by i")
            found.append([row[0] async for row in named])
        found.append(await (await connection.execute("select repeat('x', 20000000)", prepare=True)).fetchall())
    return found


async def with_psql(dsn: str) -> list[Any]:
    (psql,) = debian.provide().glob("usr/lib/postgresql/*/bin/psql")
    script = r"""
        create temp table s (i int);
        \copy s from program 'seq 1000'
        select count(*) from s \; select sum(i) from s;
        select $1 + $2 as bound \bind 20 22 \g
        selekt;
        \set FETCH_COUNT 100
        select i from s order by i;
        \copy s to stdout
        begin; do $$ begin raise notice 'seen'; end $$; commit; """
    done = subprocess.run([psql, "-X", dsn], input=script, capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") > 2000
    return [done.stdout, done.stderr]


CONVERSATIONS = {"asyncpg": with_asyncpg, "psycopg": with_psycopg, "psql": with_psql}


class Meter:
    """A relay that keeps the hashes of both directions of each connection, and knows nothing else."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.sums: list[list[str]] = []
        self._busy = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._busy += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.upstream)) as server:
            hashes = [hashlib.sha256(), hashlib.sha256()]

            def copy(source: socket.socket, target: socket.socket, digest: Any) -> None:
                with contextlib.suppress(OSError):
                    while data := source.recv(1 << 16):
                        digest.update(data)
                        target.sendall(data)
                    target.shutdown(socket.SHUT_WR)

            back = threading.Thread(target=copy, args=(server, client, hashes[1]), daemon=True)
            back.start()
            copy(client, server, hashes[0])
            back.join()
        self.sums.append([digest.hexdigest() for digest in hashes])
        self._busy -= 1

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @property
    def is_done(self) -> bool:
        return bool(self.sums) and not self._busy


@contextlib.contextmanager
def metered(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[wire.Tap, str, Meter, Meter]]:
    """A tap before PostgreSQL between two meters."""
    behind = Meter(stack.postgres.port)
    with monkeypatch.context() as patch:
        patch.setattr(stack.postgres, "port", behind.port)
        tap = wire.tap(stack, before="postgres")
        dsn = tap.dsn()
    with tap:
        before = Meter(tap.port)
        with contextlib.closing(before), contextlib.closing(behind):
            yield tap, dsn.replace(f":{tap.port}/", f":{before.port}/"), before, behind


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_the_same_and_every_byte_goes_through_as_it_came(
        stack: Stack, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = asyncio.run(CONVERSATIONS[name](stack.postgres.dsn()))
    with metered(stack, monkeypatch) as (tap, dsn, before, behind):
        assert asyncio.run(CONVERSATIONS[name](dsn)) == expected
        assert eventually(lambda: before.is_done and behind.is_done)
        assert sorted(before.sums) == sorted(behind.sums)
        assert not [event for event in tap.events if event.message.startswith(("unknown", "garbage"))]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_the_same_on_both_sides_of_pgbouncer(stack: Stack, name: str) -> None:
    expected = asyncio.run(CONVERSATIONS[name](stack.postgres.dsn()))
    with wire.tap(stack) as tap:
        assert asyncio.run(CONVERSATIONS[name](tap.dsn("session"))) == expected
        assert {event.side for event in tap.events} == {"client", "server"}


# The decoder

@pytest.fixture
def chunks(stack: Stack, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Chunk]:
    """A whole conversation as it came, connection by connection."""
    found: dict[Line, list[Chunk]] = {}
    original = Line.sent

    def sent(self: Line, direction: Direction, data: bytes) -> None:
        found.setdefault(self, []).append((direction, data))
        original(self, direction, data)

    monkeypatch.setattr(Line, "sent", sent)
    with wire.tap(stack, before="postgres") as tap:
        asyncio.run(request.param(tap.dsn()))
    return max(found.values(), key=len)


async def small(dsn: str) -> None:
    """All kinds of messages, few bytes."""
    connection = await asyncpg.connect(dsn, server_settings={"application_name": "small"})
    await connection.execute("create temp table t (i int, t text)")
    await connection.copy_records_to_table("t", records=[(number, "x" * 5000) for number in range(3)])
    await connection.copy_from_query("select * from t", output=io.BytesIO())
    with pytest.raises(asyncpg.PostgresError):
        await connection.fetch("selekt")
    await connection.fetch("select * from t where i > $1", 0)
    await connection.execute("do $$ begin raise notice 'hear'; end $$; listen news; notify news, 'all'")
    async with connection.transaction():
        assert [row async for row in connection.cursor("select 1")]
    await connection.close()


def replayed(chunks: list[Chunk], pieces: Callable[[bytes], list[bytes]]) -> list[tuple[Any, ...]]:
    recording = Recording(lambda pid: "A")
    line = recording.line("client")
    for direction, data in chunks:
        for piece in pieces(data):
            line.sent(direction, piece)
    return [(event.direction, event.message, event.detail, event.size, event.count, event.startup, event.source)
            for event in recording.events]


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
        return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]

    assert replayed(joined, at_random) == whole
    if sum(len(data) for _, data in chunks) < 100_000:
        assert replayed(joined, lambda data: [data[at:at + 1] for at in range(len(data))]) == whole


def test_what_is_no_message_is_shown_as_such() -> None:
    recording = Recording(lambda pid: "A")
    start = struct.pack("!II", 8, 196608)
    line = recording.line("client", back="PgBouncer")
    line.sent("frontend", start + b"x" + struct.pack("!I", 11) + b"seven..")
    line.sent("backend", b"\xff" + struct.pack("!I", 4) + b"Z" + struct.pack("!I", 5) + b"I")
    line.sent("frontend", b"GET / HTTP/1.1\r\n")
    line.sent("frontend", b"Host: a\r\n")
    line.sent("backend", b"HTTP/1.1 200 OK\r\n")
    assert [(event.message, event.text, event.size) for event in recording.events] == [
        ("StartupMessage", "", 8), ("unknown 'x'", "12 bytes", 12), ("unknown 0xff", "5 bytes", 5), ("ReadyForQuery", "", 6),
        ("garbage", "", 25), ("garbage", "", 17)]
    shown = [(flight.messages, flight.detail) for flight in flights(recording.events, startup=True)]
    assert ("garbage", "25 bytes") in shown


def test_cut_off_and_random_messages_break_nothing() -> None:
    chance = random.Random(1)
    for _ in range(300):
        recording = Recording(lambda pid: "A")
        line = recording.line("client")
        if chance.random() < 0.8:
            line.sent("frontend", struct.pack("!II", 8, 196608))
        for _ in range(30):
            size = chance.randrange(40)
            letter = chance.choice(b"BCdcfDEHFPpQSXKGWAtTRZvVNs12n3I")
            message = bytes([letter]) + struct.pack("!I", 4 + size) + chance.randbytes(size)
            line.sent(chance.choice(["frontend", "backend"]), message)
        assert repr(flights(recording.events, startup=True)[-1].messages)


def test_a_recording_is_bounded_and_says_what_is_missing(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, before="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn())
            tap.clear()
            await connection.executemany("select $1::int", [(number,) for number in range(KEPT)])
            assert len(tap.events) == KEPT
            assert tap.table(startup=True).rows[0]["message"].endswith("earlier messages were not kept")
            tap.clear()
            await connection.fetch("select generate_series(1, 30000)")
            assert [event.count for event in tap.events if event.message == "DataRow"] == [30000]
            assert len(tap.events) < 20
            assert tap.table().rows[0]["nr"] == 1
            await connection.close()
    asyncio.run(main())


# What is shown

def test_asyncpgs_round_trips_are_those_of_its_cache(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, before="postgres") as tap:
            async def trace(action: Any) -> tuple[list[str], int]:
                tap.clear()
                await action
                return sent(tap), tap.round_trips("app")

            options: dict[str, Any] = {"server_settings": {"application_name": "app"}}
            cached = await asyncpg.connect(tap.dsn(), **options)
            assert await trace(cached.fetchval("select 1")) == (
                ["Parse __asyncpg_stmt_1__, Describe, Flush", "Bind __asyncpg_stmt_1__, Execute, Sync"], 2)
            assert await trace(cached.fetchval("select 1")) == (["Bind __asyncpg_stmt_1__, Execute, Sync"], 1)
            await cached.execute("create temp table em (i int primary key)")
            rows = [(number,) for number in range(5)]
            insert = "insert into em values ($1)"
            name = "__asyncpg_stmt_2__"
            assert await trace(cached.executemany(insert, rows)) == (
                [f"Parse {name}, Describe, Flush", f"(Bind {name}, Execute) x 5, Sync"], 2)
            await cached.execute("truncate em")
            assert await trace(cached.executemany(insert, rows)) == ([f"(Bind {name}, Execute) x 5, Sync"], 1)
            statement = await cached.prepare("select 2")
            assert await trace(statement.fetchval()) == (["Bind __asyncpg_stmt_3__, Execute, Sync"], 1)

            async def cursor() -> None:
                async with cached.transaction():
                    assert len([row async for row in cached.cursor("select generate_series(1, 120)")]) == 120

            assert await trace(cursor()) == ([
                "Query", "Parse __asyncpg_stmt_4__, Describe, Flush",
                "Bind __asyncpg_stmt_4__, Execute __asyncpg_portal_5__, Sync", "Execute __asyncpg_portal_5__, Sync",
                "Execute __asyncpg_portal_5__, Sync", "Close __asyncpg_portal_5__, Sync", "Query"], 7)
            await cached.close()

            tap.clear()
            uncached = await asyncpg.connect(tap.dsn(), statement_cache_size=0, server_settings={"application_name": "app"})
            for _ in range(2):
                tap.clear()
                await uncached.fetchval("select 1")
                assert sent(tap, "app 2") == ["Parse (unnamed), Describe, Flush", "Parse (unnamed), Bind, Execute, Sync"]
                assert tap.round_trips("app") == tap.round_trips("app 2") == tap.round_trips() == 2
            await uncached.execute("create temp table em (i int primary key)")
            tap.clear()
            await uncached.executemany(insert, rows)
            assert sent(tap, "app 2") == ["Parse (unnamed), Describe, Flush", "Parse (unnamed), (Bind, Execute) x 5, Sync"]
            statement = await uncached.prepare("select 2")
            tap.clear()
            await statement.fetchval()
            assert sent(tap, "app 2") == ["Parse (unnamed), Bind, Execute, Sync"]
            tap.clear()
            await uncached.execute("select 1; select 2")
            assert sent(tap, "app 2") == ["Query"]
            await uncached.close()
            assert said(tap)[-1][1] == "Terminate"

            async with asyncpg.create_pool(tap.dsn(), min_size=1, max_size=1, **options) as pool:
                await pool.fetchval("select 1")
                tap.clear()
                await pool.fetchval("select 1")
                bind, reset = flights([event for event in tap.events if event.direction == "frontend"])
                assert bind.messages.startswith("Bind")
                assert "UNLISTEN" in reset.detail
    asyncio.run(main())


EXPECTED = """\
nr    from → to              message                                                  detail
----  ---------------------  -------------------------------------------------------  --------------------------------------
1     app → PgBouncer        Parse __asyncpg_stmt_1__, Describe, Flush                select 100 + $1::int
2     PgBouncer → backend A  Parse PGBOUNCER_1, Describe, Flush                       select 100 + $1::int
3     backend A → PgBouncer  ParseComplete, ParameterDescription, RowDescription
4     PgBouncer → app        ParseComplete, ParameterDescription, RowDescription
5     app → PgBouncer        Bind __asyncpg_stmt_1__, Execute, Sync                   $1 = 11, at most 1 row
6     PgBouncer → backend A  Bind PGBOUNCER_1, Execute, Sync                          $1 = 11, at most 1 row
7     backend A → PgBouncer  BindComplete, DataRow, PortalSuspended, ReadyForQuery I  111
8     PgBouncer → app        BindComplete, DataRow, PortalSuspended, ReadyForQuery I  111
9     app → PgBouncer        Query                                                    begin; selekt
10    PgBouncer → backend A  Query                                                    begin; selekt
11    backend A → PgBouncer  ErrorResponse, ReadyForQuery I                           42601 syntax error at or near "selekt"
12    PgBouncer → app        ErrorResponse, ReadyForQuery I                           42601 syntax error at or near "selekt\""""


async def example(tap: wire.Tap) -> asyncpg.Connection:
    connection = await asyncpg.connect(tap.dsn("transaction"), server_settings={"application_name": "app"})
    tap.clear()
    assert await connection.fetchval("select 100 + $1::int", 11) == 111
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await connection.execute("begin; selekt")
    return connection


def test_the_table_shows_both_sides_in_order(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await example(tap)
            assert [line.rstrip() for line in repr(tap.table()).splitlines()] == EXPECTED.splitlines()
            assert "ReadyForQuery" not in repr(tap.table(hide=("ReadyForQuery",)))
            assert "SET application_name='app'" in repr(tap.table(startup=True))
            # What a client itself sets is shown, in PgBouncer's own words too.
            tap.clear()
            await connection.execute("SET application_name='other';")
            assert len([row for row in tap.table().rows if row["detail"] == "SET application_name='other';"]) == 2
            await connection.close()
        assert "Query" in repr(tap.table()), "it can be read when it is closed"
        assert repr(tap) == "wire: closed"
    asyncio.run(main())


def test_start_up_is_shown_on_demand_and_keeps_its_secrets(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            await (await asyncpg.connect(tap.dsn("session"))).close()
            assert [message for _, message, _ in said(tap)] == ["Terminate"]
            text = repr(tap.table(startup=True))
            assert "StartupMessage" in text
            assert "SASLInitialResponse" in text
            assert stack.postgres.password not in text
            tap.clear()
            with pytest.raises(asyncpg.ProtocolViolationError):
                await asyncpg.connect(tap.dsn("session"), password="guess")
            assert ("PgBouncer → client 2", "ErrorResponse", "08P01 SASL authentication failed") in said(tap)
    asyncio.run(main())


def test_a_picture_has_a_lane_for_each_end_and_is_the_same_for_the_same_events(
        stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[tuple[Any, Any]] = []
    monkeypatch.setattr(pictures, "display", lambda data, raw, metadata: displayed.append((data, metadata)))

    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await example(tap)
            tap.draw()
            tap.draw()
            (data, metadata), again = displayed
            assert (data, metadata) == again
            assert data["image/png"].startswith(b"\x89PNG")
            assert data["text/plain"] == metadata["image/png"]["alt"] == repr(tap.table())
            await connection.execute("select '$x$ \\frac <&>', '" + "long " * 200 + "'")
            shown = flights(tap.events)
            assert picture.lanes(shown) == ["app", "PgBouncer", "backend A"]
            picture.draw(shown).savefig(io.BytesIO())
            picture.draw([]).savefig(io.BytesIO())
            await connection.close()
    asyncio.run(main())


def test_backends_have_the_same_letters_in_the_views(stack: Stack) -> None:
    async def main() -> None:
        for _ in range(2):
            with wire.tap(stack) as tap:
                connections = [await asyncpg.connect(tap.dsn("transaction")) for _ in range(3)]
                for number, connection in enumerate(connections):
                    await connection.execute(f"begin; select {number}")
                seen = {row["query"]: row["backend"] for row in (await views.backends(stack.postgres)).rows}
                shown = {detail: target.removeprefix("PgBouncer → backend ") for target, _, detail in said(tap)
                         if target.startswith("PgBouncer → backend")}
                assert shown == seen == {"begin; select 0": "A", "begin; select 1": "B", "begin; select 2": "C"}
                for connection in connections:
                    await connection.close()
    asyncio.run(main())


def test_wrong_rows_are_seen_on_the_wire(fresh: Stack) -> None:
    """Facts section 4.2: two processes, two servers, one name of a statement."""
    async def main() -> None:
        console(fresh, "set max_prepared_statements = 0")
        with wire.tap(fresh) as tap:
            a, b = [await worker.start(dsn=tap.dsn("transaction"), name=name) for name in ("a", "b")]
            for one in (a, b):
                await one("c = await asyncpg.connect(dsn, server_settings={'application_name': name})")
            await b("await c.execute('begin')")
            await a("await c.fetchval('select 111')")
            await a("await c.execute('begin')")
            await b("await c.execute('rollback')")
            await b("await c.fetchval('select 222')")
            await a("await c.execute('rollback')")
            other = await asyncpg.connect(tap.dsn("transaction"))
            await other.execute("begin")
            tap.clear()
            assert [await one(f"await c.fetchval('select {number}')") for one, number in ((a, 111), (b, 222))] == [222, 222]
            bind, answer = "Bind __asyncpg_stmt_1__, Execute, Sync", "BindComplete, DataRow, PortalSuspended, ReadyForQuery I"
            assert said(tap)[:4] == [
                ("a → PgBouncer", bind, "at most 1 row"), ("PgBouncer → backend A", bind, "at most 1 row"),
                ("backend A → PgBouncer", answer, "222"), ("PgBouncer → a", answer, "222")]
            await other.close()
            await a.stop()
            await b.stop()
    asyncio.run(main())


def test_a_cancel_request_is_shown_and_reaches_its_query(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await asyncpg.connect(tap.dsn("session"), server_settings={"application_name": "slow"})
            tap.clear()
            with pytest.raises(TimeoutError):
                await connection.fetchval("select pg_sleep(60)", timeout=0.1)
            assert await connection.fetchval("select 1") == 1
            assert ("slow → PgBouncer", "CancelRequest", "of slow") in said(tap)
            assert ("PgBouncer → backend A", "CancelRequest", "of backend A") in said(tap)
            assert "57014 canceling statement due to user request" in repr(tap.table())
            await connection.close()
    asyncio.run(main())


def test_tls_goes_through_and_is_shown_as_bytes(fresh: Stack) -> None:
    async def main() -> None:
        ca = trustme.CA()
        await tls.enable(fresh.postgres, ca)
        context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
        with wire.tap(fresh, before="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn(), ssl=context)
            tap.clear()
            assert await connection.fetchval("select repeat('x', 1000000)") == "x" * 1_000_000
            shown = said(tap)
            assert {message for _, message, _ in shown} == {"TLS"}
            assert {end for end, _, _ in shown} == {"client 1 → PostgreSQL", "PostgreSQL → client 1"}
            assert any(int(detail.removesuffix(" bytes")) > 1_000_000 for _, _, detail in shown)
            await connection.close()
            tap.clear()
            await (await asyncpg.connect(tap.dsn(), ssl="require", direct_tls=True)).close()
            assert {message for _, message, _ in said(tap)} == {"TLS"}
        with wire.tap(fresh) as tap:
            connection = await asyncpg.connect(tap.dsn("session"))
            assert await connection.fetchval("select 1") == 1
            assert "TLS" in [message for end, message, _ in said(tap) if end == "PgBouncer → PostgreSQL"]
            await connection.close()
    asyncio.run(main())


# Faults

async def pair(tap: wire.Tap) -> tuple[asyncpg.Connection, asyncpg.Connection]:
    a, b = [await asyncpg.connect(tap.dsn("session"), server_settings={"application_name": name}) for name in ("A", "B")]
    return a, b


def test_a_delay_is_for_each_way_and_for_whom_it_is_meant(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)

            async def seconds(connection: asyncpg.Connection) -> float:
                before = time.perf_counter()
                assert await connection.fetchval("select 1") == 1
                return time.perf_counter() - before

            await seconds(a)
            await seconds(b)
            tap.delay(0.2, client="A")
            assert await seconds(a) >= 0.4
            assert await seconds(b) < 0.4
            tap.delay(0.05)
            assert await seconds(b) >= 0.1
            tap.delay(0.001)
            tap.delay(0, client="A")
            # More than what is kept, in both directions.
            assert await a.fetchval("select $1::text", "x" * 5_000_000) == "x" * 5_000_000
            tap.delay(0)
            await a.close()
            await b.close()
    asyncio.run(main())


def test_a_client_that_leaves_during_a_delay_is_no_error(stack: Stack) -> None:
    """Its reset may overtake the delayed end of the other side, whose socket is then no longer connected."""
    async def main() -> None:
        with wire.tap(stack, before="postgres") as tap:
            complaints: list[dict[str, Any]] = []
            tap._loop.set_exception_handler(lambda _, context: complaints.append(context))
            connection = await asyncpg.connect(tap.dsn())
            tap.delay(0.1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute("select 1")
            connection.terminate()
            await until(lambda: not tap._client_side.links)
            assert complaints == []
    asyncio.run(main())


def test_a_stall_holds_everything_and_then_delivers_it_in_order(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)
            with tap.stalled("A"):
                asked = asyncio.create_task(a.fetchval("select string_agg(i::text, '') from generate_series(1, 99999) i"))
                late = asyncio.create_task(asyncpg.connect(tap.dsn("session"), server_settings={"application_name": "A"}))
                for _ in range(20):
                    assert await b.fetchval("select 1") == 1
                assert not asked.done()
                assert not late.done()
                assert "string_agg" not in repr(tap.table()), "what was not delivered is not shown"
            assert await asked == "".join(map(str, range(1, 100000)))
            await (await late).close()
            assert {event.connection for event in tap.events if event.side == "client"} == {"A", "B", "A 2"}
            with tap.stalled():
                with pytest.raises(TimeoutError):
                    await b.fetchval("select 1", timeout=0.05)
                with pytest.raises(TimeoutError):
                    await asyncpg.connect(tap.dsn("session"), timeout=0.1)
                assert not a.is_closed()
            assert await b.fetchval("select 2") == 2
            assert await a.fetchval("select 2") == 2
            await a.close()
            await b.close()
    asyncio.run(main())


def test_a_stall_and_a_delay_keep_no_more_than_a_little(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, before="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn())
            (link,) = tap._client_side.links

            def kept() -> int:
                return sum(end._queued + end.transport.get_write_buffer_size() for end in link.ends)

            with tap.stalled():
                sending = asyncio.create_task(connection.fetchval("select length($1::bytea)", b"x" * (64 << 20)))
                await asyncio.wait([sending], timeout=0.3)
                assert not sending.done()
                assert kept() < 1 << 20
            assert await sending == 64 << 20
            tap.delay(0.2)
            sending = asyncio.create_task(connection.fetchval("select length($1::bytea)", b"x" * (1 << 20)))
            await until(lambda: kept() > 1 << 16)
            assert kept() < 1 << 20
            tap.delay(0)
            assert await sending == 1 << 20
            await connection.close()
    asyncio.run(main())


@pytest.mark.parametrize(("fault", "mark", "cause"), [("cut", "FIN", type(None)), ("reset", "RST", ConnectionResetError)])
def test_what_asyncpg_raises_when_a_connection_is_broken(stack: Stack, fault: str, mark: str, cause: type) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)
            query = asyncio.create_task(a.fetchval("select pg_sleep(60)"))
            await until(lambda: "Execute" in repr(tap.table()))
            tap.clear()
            getattr(tap, fault)(client="A")
            with pytest.raises(asyncpg.ConnectionDoesNotExistError, match="closed in the middle of operation") as caught:
                await query
            assert type(caught.value.__cause__) is cause
            assert await b.fetchval("select 1") == 1
            assert ("PgBouncer → A", mark, "by the tap") in said(tap)
            getattr(tap, fault)()
            await until(b.is_closed)
            with pytest.raises(asyncpg.InterfaceError, match="connection is closed"):
                await b.fetchval("select 1")
            again = await asyncpg.connect(tap.dsn("session"))
            assert await again.fetchval("select 1") == 1
            await again.close()
            await until(lambda: not tap._client_side.links)
    asyncio.run(main())


def test_a_backends_connection_can_be_broken_too(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh) as tap:
            connection = await asyncpg.connect(tap.dsn("transaction"))
            await connection.execute("begin")
            tap.cut(client="backend A")
            await until(connection.is_closed)
            assert any("ErrorResponse" in message and "server conn crashed" in detail for _, message, detail in said(tap))
    asyncio.run(main())


# What may happen to a proxy

def raw(tap: wire.Tap) -> socket.socket:
    return socket.create_connection(("127.0.0.1", tap.port), timeout=10)


def test_clients_that_are_silent_vanish_or_talk_garbage_harm_nobody(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            good = await asyncpg.connect(tap.dsn("session"), server_settings={"application_name": "good"})
            with raw(tap):
                await until(lambda: len(tap._client_side.links) == 2)
                assert await good.fetchval("select 1") == 1
            await until(lambda: len(tap._client_side.links) == 1)
            for data in (b"GET / HTTP/1.1\r\n\r\n", random.Random(1).randbytes(200_000), b"\0" * 100,
                         struct.pack("!II", 8, 196608) + b"\xff" * 50,
                         struct.pack("!II", 10_000, 196608), b"\x16\x03\x01garbage", struct.pack("!II", 8, 80877103) * 3):
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


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xfe" * 100_000, b"S\x15\x03", b"R"],
                         ids=["nothing", "HTTP", "noise", "TLS", "half a message"])
def test_servers_that_vanish_or_talk_garbage_reach_the_client_as_they_are(
        stack: Stack, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_that(lambda client: client.sendall(answer)) as port:
        monkeypatch.setattr(stack.postgres, "port", port)
        with wire.tap(stack, before="postgres") as tap, raw(tap) as client:
            client.sendall(struct.pack("!II", 8, 80877103))
            assert client.makefile("rb").read() == answer
            client.close()
            assert eventually(lambda: not tap._client_side.links)
            assert tap.events[0].message == "SSLRequest"


def test_a_server_that_is_not_there_resets_the_client(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh, before="postgres") as tap:
            with fresh.postgres.down("kill"):
                with pytest.raises(OSError):        # noqa: PT011  ConnectionResetError, or asyncpg's own ConnectionError
                    await asyncpg.connect(tap.dsn())
                assert said(tap)[-1][1] == "refused"
            connection = await asyncpg.connect(tap.dsn())
            assert await connection.fetchval("select 1") == 1
            tap.clear()
            with fresh.postgres.down("kill"):
                await until(connection.is_closed)
                assert said(tap)[0][1] in ("FIN", "RST")
    asyncio.run(main())


def test_a_half_closed_connection_still_gets_its_answer(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(client: socket.socket) -> None:
        while client.recv(1000):
            pass
        client.sendall(b"late" * 100_000)

    with server_that(answer) as port:
        monkeypatch.setattr(stack.postgres, "port", port)
        with wire.tap(stack, before="postgres") as tap, raw(tap) as client:
            client.sendall(b"something")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"late" * 100_000


def test_a_reader_that_does_not_read_is_waited_for(stack: Stack) -> None:
    with wire.tap(stack, before="postgres") as tap, psycopg.connect(tap.dsn(), autocommit=True) as connection:
        (link,) = tap._client_side.links
        connection.pgconn.send_query(b"select repeat('x', 100000) from generate_series(1, 2000)")
        connection.pgconn.flush()
        assert eventually(lambda: "pressure" in link.server._holds)
        assert link.client.transport.get_write_buffer_size() < 1 << 20
        # get_result alone would wait in C, with the interpreter's lock held: the proxy could not go on.
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
            assert len(tap._recording.lines) == len(tap._server_side.links)
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
            done = subprocess.run([sys.executable, "-c", OTHER_PROCESS, tap.dsn("session")], capture_output=True, text=True,
                                  timeout=30)
            assert done.stdout == "42\n", done.stderr
    asyncio.run(main())


# Its life

async def addresses(stack: Stack) -> set[tuple[str, int]]:
    return {(row["host"], row["port"]) for row in await views.show(stack.pgbouncer, "databases") if row["name"] != "pgbouncer"}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "firedrill-wire"]


def listening() -> set[tuple[str, int]]:
    return {tuple(connection.laddr) for connection in psutil.Process().net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN}


def console(stack: Stack, *commands: LiteralString) -> None:
    with psycopg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"), autocommit=True,
                         cursor_factory=psycopg.ClientCursor) as connection:
        for command in commands:
            connection.execute(command)


def test_closed_it_leaves_nothing_and_pgbouncer_is_direct_again(stack: Stack) -> None:
    async def main() -> None:
        before, ports = await addresses(stack), listening()
        with wire.tap(stack) as tap:
            assert await addresses(stack) != before
            assert [host for host, _ in listening() - ports] == ["127.0.0.1"] * 2
            connection = await asyncpg.connect(tap.dsn("session"))
            assert threads() == ["firedrill-wire"]
        await until(connection.is_closed)
        assert not threads()
        assert listening() == ports
        assert await addresses(stack) == before
        direct = await asyncpg.connect(stack.pgbouncer.dsn("session"))
        assert await direct.fetchval("select 1") == 1
        await direct.close()
        tap.close()
        with pytest.raises(ConnectionRefusedError):
            raw(tap)
    asyncio.run(main())


def test_what_was_set_on_the_console_stays_set(fresh: Stack) -> None:
    async def kept() -> bool:
        rows = {row["key"]: row["value"] for row in await views.show(fresh.pgbouncer, "config")}
        return (rows["max_prepared_statements"], rows["server_reset_query"]) == ("7", "select 'it'")

    console(fresh, "set max_prepared_statements = 7", "set server_reset_query = 'select ''it''' ")
    with wire.tap(fresh):
        assert asyncio.run(kept())
    assert asyncio.run(kept())


def test_a_pgbouncer_that_starts_again_still_goes_through(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh) as tap:
            fresh.pgbouncer.restart()
            connection = await asyncpg.connect(tap.dsn("session"))
            tap.clear()
            await connection.fetchval("select 1")
            assert {event.side for event in tap.events} == {"client", "server"}
            fresh.pgbouncer.stop()
        fresh.pgbouncer.start()
        assert await addresses(fresh) == {fresh.address}
    asyncio.run(main())


def test_a_full_pgbouncer_does_not_keep_it_from_closing(fresh: Stack) -> None:
    async def main() -> None:
        console(fresh, "set max_client_conn = 5")
        with wire.tap(fresh) as tap:
            crowd = [await asyncpg.connect(tap.dsn("transaction")) for _ in range(5)]
            with pytest.raises(asyncpg.PostgresError, match="no more connections"):
                await asyncpg.connect(tap.dsn("transaction"))
        assert await addresses(fresh) == {fresh.address}
        for one in crowd:
            one.terminate()
    asyncio.run(main())


def test_a_paused_pgbouncer_is_named(fresh: Stack) -> None:
    tap = wire.tap(fresh)
    with fresh.pgbouncer.paused():
        with pytest.raises(Unavailable, match="PgBouncer is paused"):
            tap.close()
        with pytest.raises(Unavailable, match="PgBouncer is paused"):
            wire.tap(fresh)
    assert len(threads()) == 1
    tap.close()
    assert not threads()
    assert asyncio.run(addresses(fresh)) == {fresh.address}


def test_it_ends_with_its_pair() -> None:
    with servers.open("embedded") as stack:
        tap = wire.tap(stack)
        assert threads()
    assert not threads()
    assert repr(tap) == "wire: closed"
    tap.close()


NOTEBOOK = """
from firedrill import servers, wire
stack = servers.open("embedded")
tap = wire.tap(stack)
print(tap.port, stack.folder)
"""


def test_it_ends_with_its_process() -> None:
    done = subprocess.run([sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, timeout=60)
    port, folder = done.stdout.split(maxsplit=1)
    assert not done.stderr
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
    assert eventually(lambda: not os.path.exists(folder.strip()))


@needs_engine
def test_the_wire_of_containers_shows_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(stack: Stack) -> None:
        (_, gateway), _ = stack.proxy_addresses()
        assert gateway not in ("127.0.0.1", "0.0.0.0")
        ports = listening()
        with wire.tap(stack) as tap:
            assert {host for host, _ in listening() - ports} == {"127.0.0.1", gateway}
            connection = await example(tap)
            assert [line.rstrip() for line in repr(tap.table()).splitlines()] == EXPECTED.splitlines()
            await connection.close()
            stack.pgbouncer.restart()
            connection = await asyncpg.connect(tap.dsn("session"))
            tap.clear()
            await connection.fetchval("select 1")
            assert {event.side for event in tap.events} == {"client", "server"}
            await connection.close()
        assert await addresses(stack) == {("postgres", 5432)}
        direct = await asyncpg.connect(stack.pgbouncer.dsn("session"))
        assert await direct.fetchval("select 1") == 1
        await direct.close()
        # A firewall between the container and this machine.
        monkeypatch.setattr(docker.DockerStack, "pgbouncer_reaches", lambda *_: False)
        with pytest.raises(Unavailable, match="firewall"):
            wire.tap(stack)
        assert not threads()
        assert await addresses(stack) == {("postgres", 5432)}

    with servers.open("docker") as stack:
        asyncio.run(main(stack))
