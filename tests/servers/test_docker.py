"""The docker kind, with a real engine: the same exceptions as embedded, hardened containers, and
nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
import trustme

from firedrill import faults, servers, tls, views
from firedrill.expect import describe
from firedrill.servers import Stack, Unavailable, docker

from .. import network
from ..leftovers import eventually

try:
    docker.check()
    no_engine = ""
except Unavailable as error:
    no_engine = str(error)
needs_engine = pytest.mark.skipif(bool(no_engine), reason=f"No Docker engine: {no_engine}")


@pytest.fixture(scope="module", autouse=True)
def network_to_oneself() -> Iterator[None]:
    with network.to_oneself():
        yield


async def seen(action: Awaitable[Any]) -> str:
    """What came of it; ports and addresses, which differ from pair to pair, apart."""
    try:
        result = await action
    except (Exception, asyncio.CancelledError) as error:
        return describe(error).splitlines()[0]
    if isinstance(result, asyncpg.Connection):
        result.terminate()
        return "connected"
    return repr(result)


async def running(stack: Stack, connection: asyncpg.Connection) -> asyncio.Task[Any]:
    """A query that has begun and does not end."""
    query = asyncio.create_task(connection.fetchval("select pg_sleep(60)"))
    while "active" not in [row["state"] for row in (await views.backends(stack.postgres)).rows]:
        await asyncio.sleep(0.01)
    return query


async def closed(connection: asyncpg.Connection) -> asyncpg.Connection:
    """The connection once the news of its end has arrived."""
    deadline = time.monotonic() + 10
    while not connection.is_closed() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return connection


async def scenarios(stack: Stack) -> AsyncIterator[tuple[str, str]]:
    """What lessons do to servers, and what asyncpg then raises: name and outcome."""
    postgres, pgbouncer = stack.postgres, stack.pgbouncer

    def connect(dsn: str, **options: Any) -> Awaitable[Any]:
        return asyncpg.connect(dsn, timeout=5, **options)  # type: ignore[no-any-return]

    yield "log in", await seen(connect(postgres.dsn()))
    yield "log in as the superuser", await seen(connect(postgres.dsn(user="postgres")))
    yield "wrong password", await seen(connect(postgres.dsn(), password="guess"))
    yield "no such role", await seen(connect(postgres.dsn(user="nobody")))
    yield "no such database", await seen(connect(postgres.dsn("encroe")))
    yield "unknown setting", await seen(connect(postgres.dsn() + "?connect_timeout=5"))
    for mode in ("session", "transaction", "statement"):
        yield f"PgBouncer, {mode}", await seen(connect(pgbouncer.dsn(mode)))
    yield "PgBouncer, wrong password", await seen(connect(pgbouncer.dsn(), password="guess"))
    yield "PgBouncer, no such database", await seen(connect(pgbouncer.dsn("encroe")))
    yield (
        "PgBouncer, unknown setting",
        await seen(connect(pgbouncer.dsn(), server_settings={"jit": "off"})),
    )
    yield "PgBouncer, console as the application", await seen(connect(pgbouncer.dsn("pgbouncer")))
    yield "PgBouncer, console", await seen(connect(pgbouncer.dsn("pgbouncer", user="postgres")))
    statement = await asyncpg.connect(pgbouncer.dsn("statement"))
    yield "PgBouncer, begin in statement mode", await seen(statement.execute("begin"))

    ways: tuple[Literal["stop", "kill"], ...] = ("stop", "kill")
    for how in ways:
        direct, idle = await asyncpg.connect(postgres.dsn()), await asyncpg.connect(postgres.dsn())
        query = await running(stack, direct)
        with postgres.down(how):
            yield f"{how}: running query", await seen(query)
            yield f"{how}: idle connection", await seen((await closed(idle)).fetchval("select 1"))
            refused = await seen(connect(postgres.dsn()))
            yield f"{how}: new connection", refused.partition("(")[0]
        yield f"{how}: afterwards", await seen(connect(postgres.dsn()))
        through = await asyncpg.connect(pgbouncer.dsn("session"))
        with pgbouncer.down(how):
            yield (
                f"PgBouncer, {how}: idle connection",
                await seen((await closed(through)).fetchval("select 1")),
            )
            yield (
                f"PgBouncer, {how}: new connection",
                (await seen(connect(pgbouncer.dsn()))).partition("(")[0],
            )
        yield f"PgBouncer, {how}: afterwards", await seen(connect(pgbouncer.dsn()))

    connection = await asyncpg.connect(postgres.dsn())
    with postgres.paused():
        yield "paused: query", await seen(connection.fetchval("select 1", timeout=0.3))
        yield "paused: new connection", await seen(asyncpg.connect(postgres.dsn(), timeout=0.3))
    yield "paused: the same connection afterwards", await seen(connection.fetchval("select 1"))
    async with faults.shutting_down(postgres):
        yield "shutting down", await seen(connect(postgres.dsn()))
    async with faults.starting_up(postgres, 0.1):
        yield "starting up", await seen(connect(postgres.dsn()))

    victim = await asyncpg.connect(postgres.dsn())
    query = await running(stack, victim)
    admin = await asyncpg.connect(postgres.dsn(user="postgres"))
    await admin.execute("select pg_cancel_backend($1)", victim.get_server_pid())
    yield "cancelled by the administrator", await seen(query)
    query = await running(stack, victim)
    await admin.execute("select pg_terminate_backend($1)", victim.get_server_pid())
    yield "terminated by the administrator", await seen(query)
    crowd = [
        await asyncpg.connect(postgres.dsn())
        for _ in range(int(await admin.fetchval("show max_connections")) - 4)
    ]
    yield "all connections taken", await seen(connect(postgres.dsn()))
    for one in crowd:
        one.terminate()

    yield (
        "TLS wanted, not offered",
        (await seen(connect(postgres.dsn(), ssl="require"))).replace(str(postgres.port), "port"),
    )
    ca = trustme.CA()
    await tls.enable(postgres, ca)
    context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
    yield "TLS", await seen(connect(postgres.dsn(), ssl=context))
    yield "TLS, unknown authority", await seen(connect(postgres.dsn(), ssl=True))
    await tls.require(postgres)
    yield (
        "TLS required, not used",
        (await seen(connect(postgres.dsn(), ssl=False))).partition('"')[0],
    )
    yield "PgBouncer, TLS to PostgreSQL", await seen(connect(pgbouncer.dsn("session")))


async def table(kind: str) -> dict[str, str]:
    with servers.open(kind) as stack:
        return {name: outcome async for name, outcome in scenarios(stack)}


@needs_engine
def test_both_kinds_raise_the_same() -> None:
    embedded, containers = asyncio.run(table("embedded")), asyncio.run(table("docker"))
    print(*(f"{name:<45}{outcome}" for name, outcome in embedded.items()), sep="\n")
    assert containers == embedded
    assert len(embedded) > 40


@pytest.fixture(scope="module")
def stack() -> Any:
    with servers.open("docker") as stack:
        yield stack


@needs_engine
@pytest.mark.parametrize("name", ["postgres", "pgbouncer"])
def test_a_container_has_what_it_needs_and_no_more(stack: Stack, name: str) -> None:
    container = getattr(stack, name).container
    (state,) = json.loads(docker.docker("inspect", container))
    host = state["HostConfig"]
    assert state["Config"]["User"] == "postgres"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert 0 < host["Memory"] <= 512 << 20
    assert 0 < host["PidsLimit"] <= 200
    assert state["Config"]["Healthcheck"]
    addresses = {
        binding["HostIp"] for bindings in host["PortBindings"].values() for binding in bindings
    }
    assert addresses == {"127.0.0.1"}
    assert int(docker.docker("exec", container, "id", "-u")) != 0
    status = docker.docker("exec", container, "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


@needs_engine
def test_both_services_become_healthy() -> None:
    project = f"firedrill-test-{os.getpid()}"
    try:
        docker.docker(
            "compose",
            "--project-name",
            project,
            "up",
            "--detach",
            "--wait",
            "--wait-timeout",
            "60",
            FIREDRILL_POSTGRES_PORT="19431",
            FIREDRILL_PGBOUNCER_PORT="19432",
        )
        listed = docker.docker(
            "ps", f"--filter=label=com.docker.compose.project={project}", "--format={{.Status}}"
        )
        assert listed.count("(healthy)") == 2
    finally:
        docker.docker("compose", "--project-name", project, "down", "--volumes", "--timeout", "0")


def left_of(project: str) -> str:
    label = f"--filter=label=com.docker.compose.project={project}"
    return (
        docker.docker("ps", "--all", "--quiet", label)
        + docker.docker("volume", "ls", "--quiet", label)
        + docker.docker("network", "ls", "--quiet", label)
    )


@needs_engine
def test_nothing_is_left_after_close() -> None:
    with servers.open("docker") as stack:
        assert isinstance(stack, docker.DockerStack)
        assert left_of(stack.project)
        stack.postgres.pause()
    assert not left_of(stack.project)
    assert not stack.folder.exists()


NOTEBOOK = """
import time
from firedrill import servers
stack = servers.open("docker")
stack.postgres.pause()
print(stack.project, stack.folder, flush=True)
time.sleep(600)
"""


@needs_engine
def test_nothing_is_left_of_a_killed_notebook() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", NOTEBOOK], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    project, folder = process.stdout.readline().split(maxsplit=1)
    assert left_of(project)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not left_of(project) and not Path(folder.strip()).exists()), left_of(
        project
    )


@needs_engine
def test_a_project_that_the_reader_started_is_seen_and_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FIREDRILL_SERVERS", raising=False)
    if docker.is_up():
        pytest.skip("the course's own project is up on this machine, and is not ours to end")
    assert servers.choose()[0] == "embedded"
    docker.docker(
        "compose",
        "up",
        "--detach",
        FIREDRILL_POSTGRES_PORT="19433",
        FIREDRILL_PGBOUNCER_PORT="19434",
    )
    try:
        assert servers.choose() == ("docker", "`docker compose up` is running in this repository")
        with servers.open() as stack:
            assert stack.kind == "docker"
        assert docker.is_up()
    finally:
        docker.docker("compose", "down", "--volumes", "--timeout", "0")


@pytest.mark.skipif("not found" in no_engine, reason="no docker client")
def test_a_client_without_an_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(Unavailable, match="no Docker engine answers it"):
        servers.open("docker")


def test_no_client_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="Looked for the command `docker`: not found"):
        servers.open("docker")


@needs_engine
def test_an_engine_without_compose_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A client of that name, as old installations have it: everything but compose.
    client = tmp_path / "docker"
    real = subprocess.check_output(["which", "docker"], text=True).strip()
    client.write_text(
        f'#!/bin/sh\n[ "$1" = compose ] && exec "{real}" no-such-command\nexec "{real}" "$@"\n'
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Unavailable, match="`docker compose` is missing"):
        servers.open("docker")


@needs_engine
def test_files_that_the_containers_may_not_read_are_named() -> None:
    path = docker.REPOSITORY / "docker/postgres/2_shop.sql"
    before = path.stat().st_mode
    path.chmod(0o600)
    try:
        with pytest.raises(
            Unavailable,
            match=r"may not read docker/postgres/2_shop\.sql.*\n.*chmod -R o\+rX docker",
        ):
            servers.open("docker")
    finally:
        path.chmod(before)
