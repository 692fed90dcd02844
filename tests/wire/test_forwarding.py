"""The same results with and without the proxy, and every byte as it came."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import socket
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from firedrill import wire
from firedrill.servers import Stack, debian

from ..leftovers import eventually
from .common import until, with_psycopg


async def with_asyncpg(dsn: str) -> list[Any]:
    connection = await asyncpg.connect(dsn)
    notices: list[str] = []
    notified: list[Any] = []
    connection.add_log_listener(lambda _, message: notices.append(str(message)))
    await connection.add_listener(
        "news", lambda _, __, channel, payload: notified.append((channel, payload))
    )
    found: list[Any] = [
        await connection.fetch("select id, label, price_cents from seats order by id limit 200")
    ]
    await connection.execute("create temp table t (i int primary key, b bytea)")
    await connection.executemany(
        "insert into t values ($1, $2)", [(number, bytes(number)) for number in range(500)]
    )
    await connection.copy_records_to_table(
        "t", records=[(number, b"x" * 100) for number in range(1000, 3000)]
    )
    out = io.BytesIO()
    await connection.copy_from_table("t", output=out)
    found.append(out.getvalue())
    for query in ("selekt", "insert into t values (1, null)", "select 1 / 0"):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.fetch(query)
        found.append(str(caught.value))
    async with connection.transaction():
        found.append(
            [row[0] async for row in connection.cursor("select i from t order by i", prefetch=77)]
        )
    await connection.execute("do $$ begin raise notice 'hear'; end $$; notify news, 'all'")
    found.append(await connection.fetchval("select repeat('x', 20_000_000)"))
    found.append(await connection.fetchval("select length($1)", "y" * 20_000_000))
    with pytest.raises(TimeoutError):
        await connection.fetchval("select pg_sleep(60)", timeout=0.1)
    found.append(await connection.fetchval("select 'cancelled and well'"))
    await until(lambda: notified and notices)
    await connection.close()
    return [*found, notices, notified]


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
    done = subprocess.run(
        [psql, "-X", dsn], input=script, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.count("\n") > 2000
    return [done.stdout, done.stderr]


CONVERSATIONS = {"asyncpg": with_asyncpg, "psycopg": with_psycopg, "psql": with_psql}


class Meter:
    """A relay that keeps the hashes of both directions of each connection, and knows nothing
    else."""

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
def metered(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[wire.Tap, str, Meter, Meter]]:
    """A tap before PostgreSQL between two meters."""
    behind = Meter(stack.postgres.port)
    with monkeypatch.context() as patch:
        patch.setattr(stack.postgres, "port", behind.port)
        tap = wire.tap(stack, in_front_of="postgres")
    with tap:
        before = Meter(tap.port)
        with contextlib.closing(before), contextlib.closing(behind):
            yield tap, stack.postgres.dsn(port=before.port), before, behind


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_the_same_and_every_byte_goes_through_as_it_came(
    stack: Stack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = asyncio.run(CONVERSATIONS[name](stack.postgres.dsn()))
    with metered(stack, monkeypatch) as (tap, dsn, before, behind):
        assert asyncio.run(CONVERSATIONS[name](dsn)) == expected
        assert eventually(lambda: before.is_done and behind.is_done)
        assert sorted(before.sums) == sorted(behind.sums)
        assert not [
            event for event in tap.events if event.message.startswith(("unknown", "garbage"))
        ]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_gives_the_same_on_both_sides_of_pgbouncer(stack: Stack, name: str) -> None:
    expected = asyncio.run(CONVERSATIONS[name](stack.postgres.dsn()))
    with wire.tap(stack) as tap:
        assert asyncio.run(CONVERSATIONS[name](tap.dsn("session"))) == expected
        assert {event.side for event in tap.events} == {"client", "server"}
