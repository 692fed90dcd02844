"""From the opening of a tap to its end."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading

import asyncpg
import psutil
import pytest

from firedrill import servers, views, wire
from firedrill.servers import Stack, Unavailable, docker

from .. import network
from ..leftovers import eventually
from ..servers.test_docker import needs_engine
from .common import EXPECTED, console, example, raw, until


async def addresses(stack: Stack) -> set[tuple[str, int]]:
    return {
        (row["host"], row["port"])
        for row in await views.show(stack.pgbouncer, "databases")
        if row["name"] != "pgbouncer"
    }


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "firedrill-wire"]


def listening() -> set[tuple[str, int]]:
    return {
        tuple(connection.laddr)
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


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
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK], capture_output=True, text=True, timeout=60
    )
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
            assert [
                line.rstrip() for line in repr(tap.table()).splitlines()
            ] == EXPECTED.splitlines()
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

    with network.to_oneself(), servers.open("docker") as stack:
        asyncio.run(main(stack))
