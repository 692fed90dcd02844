"""The embedded kind: what a lesson may do to its servers, and that nothing of them is left,
however the notebook ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from firedrill import servers
from firedrill.servers import PortTaken, Stack, Unavailable
from firedrill.servers.stack import leftovers

from ..leftovers import eventually, pids_of, processes_of, shared_memory_of


@pytest.fixture
def stack() -> Iterator[Stack]:
    with servers.open("embedded") as stack:
        yield stack


def ask(dsn: str, query: str = "select 1", **options: Any) -> Any:
    async def main() -> Any:
        connection = await asyncpg.connect(dsn, timeout=5, **options)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(main())


def test_the_shop_is_there_behind_every_pool_mode(stack: Stack) -> None:
    assert ask(stack.postgres.dsn(), "select count(*) from seats") == 500
    for mode in ("session", "transaction", "statement"):
        assert (
            ask(stack.pgbouncer.dsn(mode), "select count(*) from seats where status = 'free'")
            == 309
        )
    assert (
        ask(stack.postgres.dsn(), "select rolsuper from pg_roles where rolname = current_user")
        is False
    )
    assert ask(stack.postgres.dsn(user="postgres"), "show server_version_num").startswith("17")


def test_a_dsn_takes_another_password_host_and_port(stack: Stack) -> None:
    postgres, pgbouncer = stack.postgres, stack.pgbouncer
    other = postgres.dsn("session", host="localhost", port=pgbouncer.port)
    assert ask(other, "select count(*) from seats") == 500
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(postgres.dsn(password="p@ss/w:rd?#["))  # quoted, or it would be no password at all


def test_every_operation_may_be_repeated_and_port_and_data_stay(stack: Stack) -> None:
    ask(stack.postgres.dsn(), "update seats set price_cents = 1 where id = 1 returning 1")
    for server in (stack.postgres, stack.pgbouncer):
        port = server.port
        for operation, status in (
            ("pause", "paused"),
            ("pause", "paused"),
            ("kill", "stopped"),
            ("kill", "stopped"),
            ("pause", "stopped"),
            ("resume", "stopped"),
            ("stop", "stopped"),
            ("start", "running"),
            ("start", "running"),
            ("pause", "paused"),
            ("stop", "stopped"),
            ("start", "running"),
            ("pause", "paused"),
            ("start", "running"),
            ("resume", "running"),
            ("restart", "running"),
        ):
            getattr(server, operation)()
            assert server.status == status, operation
            assert status == "paused" or server.answers() == (status == "running"), operation
        assert server.port == port
    assert (
        ask(stack.pgbouncer.dsn("transaction"), "select price_cents from seats where id = 1") == 1
    )


def test_a_commit_survives_kill(stack: Stack) -> None:
    for price in range(1, 6):
        ask(
            stack.postgres.dsn(), f"update seats set price_cents = {price} where id = 1 returning 1"
        )
        with stack.postgres.down("kill"):
            assert stack.postgres.status == "stopped"
        assert ask(stack.postgres.dsn(), "select price_cents from seats where id = 1") == price


def test_alter_system_holds_over_a_restart(stack: Stack) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
        await connection.execute("alter system set max_connections = 31")
        await connection.close()

    asyncio.run(main())
    stack.postgres.restart()
    assert ask(stack.postgres.dsn(), "show max_connections") == "31"


def test_only_this_machine_can_connect_and_needs_the_password(stack: Stack) -> None:
    family = [
        process
        for server in processes_of(stack.folder)
        for process in [server, *server.children(recursive=True)]
    ]
    listening = {
        connection.laddr.ip
        for process in family
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(stack.postgres.dsn(), password="firedrill")
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(stack.postgres.dsn(user="postgres"), password="postgres")
    with pytest.raises(asyncpg.ProtocolViolationError, match="SASL authentication failed"):
        ask(stack.pgbouncer.dsn("pgbouncer", user="postgres"), password="postgres")


def test_nothing_is_left_after_close(stack: Stack) -> None:
    with servers.open("embedded") as other:
        pids = pids_of(other.folder)
        assert len(pids) > 2
        assert shared_memory_of(pids)
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in pids)
        assert "pg_dynshmem" in maps
        assert "/dev/shm/PostgreSQL" not in maps, "nobody removes that after kill -9"
        other.postgres.kill()  # its shared memory stays until somebody removes it
    assert not other.folder.exists()
    assert not processes_of(other.folder)
    assert not shared_memory_of(pids)
    assert not other.is_open
    other.close()
    assert "closed" in repr(other)


def test_two_pairs_do_not_meet(stack: Stack) -> None:
    with servers.open("embedded") as other:
        ask(other.postgres.dsn(), "update seats set price_cents = 1 returning 1")
        assert ask(stack.postgres.dsn(), "select min(price_cents) from seats") > 1
        other.postgres.kill()
        assert stack.postgres.answers()


def test_the_set_up_cell_run_twice_gives_a_fresh_pair_and_closes_the_first() -> None:
    first = servers.open_for_notebook()
    ask(first.postgres.dsn(), "update seats set price_cents = 1 returning 1")
    second = servers.open_for_notebook()
    try:
        assert not first.folder.exists()
        assert ask(second.postgres.dsn(), "select min(price_cents) from seats") > 1
    finally:
        second.close()


def test_a_port_that_was_taken_meanwhile_is_named(stack: Stack) -> None:
    stack.postgres.stop()
    taken = pytest.raises(PortTaken, match=rf"port {stack.postgres.port}: another program does")
    with socket.create_server(("127.0.0.1", stack.postgres.port)), taken:
        stack.postgres.start()
    stack.postgres.start()
    assert ask(stack.postgres.dsn()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="a bound port is not given twice on Linux")
def test_the_port_of_a_stopped_server_is_kept_for_it(
    stack: servers.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firedrill.servers import server

    with stack.pgbouncer.down():
        ports = iter([stack.pgbouncer.port, 31001])
        monkeypatch.setattr("random.randrange", lambda *_: next(ports))
        with contextlib.closing(server.Ports(1)) as others:
            assert others.numbers == [31001]


def test_a_taken_port_is_given_up_for_another_when_a_pair_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from firedrill.servers import local, server

    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = server.Ports(2)
        first.numbers[0] = taken.getsockname()[1]
        ports = iter([first])
        monkeypatch.setattr(local, "Ports", lambda count: next(ports, None) or server.Ports(count))
        with servers.open("embedded") as stack:
            assert stack.postgres.port != taken.getsockname()[1]
            assert ask(stack.postgres.dsn()) == 1


NOTEBOOK = """
import sys, time
from firedrill import servers
stack = servers.open("embedded")
stack.postgres.pause()
try:
    print(stack.folder, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print(stack.postgres.status, stack.pgbouncer.answers(), flush=True)
    time.sleep(60)
"""


def start_a_notebook(**options: Any) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK], stdout=subprocess.PIPE, text=True, **options
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_nothing_is_left_of_a_killed_notebook_with_a_frozen_server(number: signal.Signals) -> None:
    process, folder = start_a_notebook(start_new_session=True)
    pids = pids_of(folder)
    assert len(pids) > 2
    os.killpg(process.pid, number)
    process.wait()
    assert eventually(lambda: not folder.exists() and not processes_of(folder)), processes_of(
        folder
    )
    assert not shared_memory_of(pids)


def test_nothing_is_left_when_the_terminal_is_closed() -> None:
    terminal, inside = pty.openpty()
    process, folder = start_a_notebook(
        stdin=inside, start_new_session=True, preexec_fn=take_the_terminal
    )
    os.close(inside)
    os.close(terminal)  # the kernel of the system sends SIGHUP
    assert process.wait(5) == -signal.SIGHUP
    assert eventually(lambda: not folder.exists() and not processes_of(folder)), processes_of(
        folder
    )


def take_the_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_an_interrupted_kernel_keeps_its_servers() -> None:
    process, folder = start_a_notebook(start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)  # as ipykernel does: to the whole group
    assert process.stdout
    assert process.stdout.readline() == "paused True\n"
    process.kill()
    process.wait()
    assert eventually(lambda: not folder.exists())


def test_an_interrupt_while_opening_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from firedrill.servers import local

    started: list[Path] = []

    def interrupted(self: local.Process) -> None:
        started.append(self.folder)
        original(self)
        if self.name == "PgBouncer":
            raise KeyboardInterrupt

    original = local.Process._start
    monkeypatch.setattr(local.Process, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        servers.open("embedded")
    assert len(started) == 2
    assert not started[0].exists()
    assert not processes_of(started[0])


def test_what_even_the_watchdog_left_is_swept_by_the_next_pair() -> None:
    process, folder = start_a_notebook()
    with open(folder / "owner") as owner:
        assert owner.name
    watchdogs = [one for one in processes_of(folder) if "cleanup.sh" in " ".join(one.cmdline())]
    assert len(watchdogs) == 1
    for one in [*watchdogs, *watchdogs[0].children()]:
        one.kill()
    process.kill()
    process.wait()
    assert leftovers(folder.parent) == [folder]
    with servers.open("embedded"):
        assert not folder.exists()
        assert eventually(lambda: not processes_of(folder))


def test_opening_many_at_once_works() -> None:
    opened: list[Stack] = []
    threads = [
        threading.Thread(target=lambda: opened.append(servers.open("embedded"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert (
            len({port for stack in opened for port in (stack.postgres.port, stack.pgbouncer.port)})
            == 8
        )
        assert all(ask(stack.pgbouncer.dsn("transaction")) == 1 for stack in opened)
    finally:
        for stack in opened:
            stack.close()


def test_a_kind_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIREDRILL_SERVERS", "nonsense")
    with pytest.raises(
        Unavailable, match=r"FIREDRILL_SERVERS is 'nonsense'.*embedded, docker, host"
    ):
        servers.open()


def test_host_says_what_it_found_and_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = tmp_path / "pgbouncer"
    old.write_text("#!/bin/sh\necho PgBouncer 1.18.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FIREDRILL_PGBOUNCER_BIN", raising=False)
    with pytest.raises(Unavailable, match=r"PgBouncer 1\.22\.1 or newer(.|\n)*1\.18"):
        servers.host.find()


def test_host_runs_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = servers.debian.provide()
    (postgres,) = prefix.glob("usr/lib/postgresql/*/bin")
    monkeypatch.setenv("FIREDRILL_POSTGRES_BIN", str(postgres))
    monkeypatch.setenv("FIREDRILL_PGBOUNCER_BIN", str(prefix / "usr/sbin/pgbouncer"))
    with servers.open("host") as stack:
        assert stack.kind == "host"
        assert ask(stack.pgbouncer.dsn("transaction"), "select count(*) from seats") == 500
