"""Ways to open servers.

Each is a context manager that gives the seconds until asyncpg had its answer, and then removes
them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Iterator

import asyncpg

from firedrill.servers import docker
from firedrill.servers import open as open_pair
from firedrill.servers.server import Ports

from .ending import run, undisturbed


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
    ports = Ports(2)
    postgres, pgbouncer = ports.numbers
    project = (
        "docker",
        "compose",
        "--project-name",
        f"firedrill-bench-{secrets.token_hex(3)}",
        "--progress=quiet",
    )
    password = secrets.token_urlsafe(12)
    environment = os.environ | {
        "FIREDRILL_POSTGRES_PORT": str(postgres),
        "FIREDRILL_PGBOUNCER_PORT": str(pgbouncer),
        "FIREDRILL_PASSWORD": password,
    }
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
    os.environ |= {
        "TESTCONTAINERS_RYUK_DISABLED": "true",
        "TC_POOLING_INTERVAL": "0.1",
    }  # read when it is imported
    from testcontainers.community.postgres import PostgresContainer

    # The database and the user that every image has; as `postgres` from the start, which saves the
    # image a change of user.
    container = PostgresContainer(
        "postgres:17", username="postgres", password="bench", dbname="postgres", driver=None
    )
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
