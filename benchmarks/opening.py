"""Opening a pair: every time until asyncpg's `select 1` has answered. Removal and imports are not counted. In each round
each way is taken once, and each round begins with another one; one uncounted round comes first. The ratio is that of the
medians; in brackets the ratio of the round that was worst for the course.

- *embedded*: `servers.open("embedded")`, PostgreSQL with the ticket shop's data and PgBouncer; `select 1` goes through
  PgBouncer. The course prepares the next pair's data directory in the background as soon as one is opened, and in this
  benchmark it always has the time to. *A second pair at once* is opened when the first has answered: its data directory
  is copied while it waits, beside the copy in the background.
- *docker compose*: `docker compose up --detach --wait` of the course's own docker-compose.yml, images present, the same data;
  `select 1` goes through PgBouncer. Its health checks come after 1 s at the earliest, which is part of what `--wait` costs.
  *Without health checks* is the course's own way to open the same containers, `servers.open("docker")`.
- *testcontainers*: PostgresContainer("postgres:17") alone, no PgBouncer, no data; polled each 0.1 s instead of 1 s, `initdb`
  without sync and the server without fsync, for speed. Its "ryuk" container, which would cost more, is switched off.
- *pytest-postgresql*: the executor behind its fixture `postgresql_proc`, alone, with the embedded PostgreSQL's programs; no
  PgBouncer, no data, and without the template database that the fixture makes after it. When the benchmark runs as root,
  which PostgreSQL refuses, the executor runs in a forked process that has become the user nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from statistics import median

import asyncpg

from firedrill.servers import cache, debian, docker
from firedrill.servers import open as open_pair
from firedrill.servers.server import free_ports

from .ending import run, undisturbed
from .row import Row, in_seconds, not_measured

ROUNDS = 12
SLOWEST = 0.3       # seconds: what a reader does not notice as waiting, once for each notebook

Way = Callable[[], contextlib.AbstractContextManager[float]]


def rows() -> list[Row]:
    second: list[float] = []

    @contextlib.contextmanager
    def embedded_twice() -> Iterator[float]:
        with embedded() as opening, embedded() as again:
            second.append(again)
            yield opening

    seconds, missing = _measure({"embedded": embedded_twice, "compose": compose, "unchecked": unchecked,
                                 "testcontainers": testcontainers, "pytest-postgresql": pytest_postgresql})
    what = "open a pair, embedded"
    if "embedded" in missing:
        return [Row(what, missing["embedded"])]
    own = seconds["embedded"]
    del second[0]       # the uncounted round's
    found = [Row(what, in_seconds(own), target=f"worst ≤ {SLOWEST} s", reached=max(own) <= SLOWEST),
             Row("a second pair at once", in_seconds(second), target=f"worst ≤ {SLOWEST} s", reached=max(second) <= SLOWEST)]
    for name, peer, least in (("compose", "`docker compose up --wait`, both servers", 20),
                              ("unchecked", "the same containers without health checks, `servers.open(\"docker\")`", None),
                              ("testcontainers", "testcontainers, PostgreSQL alone", 10),
                              ("pytest-postgresql", "pytest-postgresql, PostgreSQL alone", None)):
        target = f"≥ {least}x" if least else ""
        if name in missing:
            found.append(Row(what, in_seconds(own), peer, missing[name], target=target))
            continue
        ratio = median(seconds[name]) / median(own)
        worst = min(theirs / ours for theirs, ours in zip(seconds[name], own, strict=True))
        found.append(Row(what, in_seconds(own), peer, in_seconds(seconds[name]), f"{ratio:.1f}x ({worst:.1f}x)", target,
                         ratio >= least if least else None))
    return found


def _measure(ways: dict[str, Way]) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of each round, and for what cannot be measured here the reason."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    missing: dict[str, str] = {}
    for number in range(ROUNDS + 1):
        print(f"opening: round {number} of {ROUNDS}" if number else "opening: a round that does not count", flush=True)
        turn = number % len(ways)
        for name in [*ways][turn:] + [*ways][:turn]:
            if name in missing:
                continue
            try:
                with ways[name]() as opening:
                    if number:
                        seconds[name].append(opening)
            except Exception as error:
                missing[name] = not_measured(error)
                print(f"{name}: {missing[name]}", flush=True)
    return seconds, missing


def answer(dsn: str) -> None:
    """Once: a way that is ready too early fails, and is not helped by asking again."""
    async def ask() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.fetchval("select 1")
        await connection.close()

    asyncio.run(ask())


@contextlib.contextmanager
def embedded() -> Iterator[float]:
    start = time.perf_counter()
    stack = open_pair("embedded")
    try:
        answer(stack.pgbouncer.dsn("transaction"))
        yield time.perf_counter() - start
    finally:
        with undisturbed():
            stack.close()


@contextlib.contextmanager
def compose() -> Iterator[float]:
    docker.check()
    postgres, pgbouncer = free_ports(2)
    project = ("docker", "compose", "--project-name", f"firedrill-bench-{secrets.token_hex(3)}", "--progress=quiet")
    password = secrets.token_urlsafe(12)
    environment = os.environ | {"FIREDRILL_POSTGRES_PORT": str(postgres), "FIREDRILL_PGBOUNCER_PORT": str(pgbouncer),
                                "FIREDRILL_PASSWORD": password}
    environment.pop("FIREDRILL_NO_HEALTHCHECK", None)
    try:
        start = time.perf_counter()
        run([*project, "up", "--detach", "--wait"], environment)
        answer(f"postgresql://encore:{password}@127.0.0.1:{pgbouncer}/transaction")
        yield time.perf_counter() - start
    finally:
        with undisturbed():
            run([*project, "down", "--volumes", "--timeout", "0"], environment)


@contextlib.contextmanager
def unchecked() -> Iterator[float]:
    docker.check()
    start = time.perf_counter()
    stack = open_pair("docker")
    try:
        answer(stack.pgbouncer.dsn("transaction"))
        yield time.perf_counter() - start
    finally:
        with undisturbed():
            stack.close()


@contextlib.contextmanager
def testcontainers() -> Iterator[float]:
    docker.check()
    os.environ |= {"TESTCONTAINERS_RYUK_DISABLED": "true", "TC_POOLING_INTERVAL": "0.1"}    # read when it is imported
    from testcontainers.community.postgres import PostgresContainer

    # The database and the user that every image has; as `postgres` from the start, which saves the image a change of user.
    container = PostgresContainer("postgres:17", username="postgres", password="bench", dbname="postgres", driver=None)
    container.with_kwargs(user="postgres")
    container.with_env("POSTGRES_INITDB_ARGS", "--no-sync").with_command("postgres -c fsync=off")
    try:
        start = time.perf_counter()
        container.start()
        answer(container.get_connection_url())
        yield time.perf_counter() - start
    finally:
        with undisturbed():
            container.stop()


@contextlib.contextmanager
def pytest_postgresql() -> Iterator[float]:
    (programs,) = debian.provide().glob("usr/lib/postgresql/*/bin")
    folder = tempfile.mkdtemp(dir=cache.folder())
    if cache.SERVER_USER:
        os.chown(folder, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
    here, there = multiprocessing.Pipe()
    # Forked, not started anew: nobody may not be allowed to execute this Python, but may go on in it.
    process = multiprocessing.get_context("fork").Process(
        target=_execute, args=(here, there, f"{programs}/pg_ctl", folder, free_ports(1)[0]))
    process.start()
    there.close()
    try:
        opening = here.recv()
        if isinstance(opening, str):
            raise RuntimeError(opening)
        yield opening
    finally:
        with undisturbed():
            here.close()        # which it waits for
            process.join()
            shutil.rmtree(folder)


def _execute(parents: Connection, pipe: Connection, pg_ctl: str, folder: str, port: int) -> None:
    """In the forked process: send the seconds, or the reason for none; end the server when the parent hangs up or dies."""
    parents.close()
    os.setsid()         # Ctrl-C in a terminal is for the parent
    os.chdir(folder)
    os.environ["HOME"] = folder     # where asyncpg looks for certificates; nobody may not look into root's
    try:
        # While its files may still be read. (mypy: it is there only after `make bench`.)
        from pytest_postgresql.executors import PostgreSQLExecutor  # type: ignore[import-not-found, unused-ignore]

        if cache.SERVER_USER:
            os.setgroups([])
            os.setgid(cache.SERVER_USER.pw_gid)
            os.setuid(cache.SERVER_USER.pw_uid)
        # The defaults of the fixture.
        executor = PostgreSQLExecutor(
            executable=pg_ctl, host="127.0.0.1", port=port, datadir=f"{folder}/data", unixsocketdir=folder,
            logfile=f"{folder}/log", startparams="-w", dbname="tests", user="postgres")
        try:
            start = time.perf_counter()
            executor.start()
            executor.wait_for_postgres()
            answer(f"postgresql://postgres@127.0.0.1:{port}/postgres")
            pipe.send(time.perf_counter() - start)
            with contextlib.suppress(EOFError):
                pipe.recv()
        finally:
            executor.stop()
    except Exception as error:
        with contextlib.suppress(OSError):
            pipe.send(f"{type(error).__name__}: {error}")
