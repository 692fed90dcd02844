"""One more way, see `ways`: pytest-postgresql's executor, which cannot run as root."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

from firedrill.servers import cache, debian
from firedrill.servers.server import Ports

from .ending import undisturbed
from .ways import answer


@contextlib.contextmanager
def pytest_postgresql() -> Iterator[float]:
    (programs,) = debian.provide().glob("usr/lib/postgresql/*/bin")
    folder = tempfile.mkdtemp(dir=cache.folder())
    if cache.SERVER_USER:
        os.chown(folder, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
    ports = Ports(1)
    here, there = multiprocessing.Pipe()
    # Forked, not started again: nobody may not be allowed to execute this Python, but may go on in
    # it.
    process = multiprocessing.get_context("fork").Process(
        target=_execute, args=(here, there, f"{programs}/pg_ctl", folder, ports.numbers[0])
    )
    process.start()
    there.close()
    try:
        opening = here.recv()
        if isinstance(opening, str):
            raise RuntimeError(opening)
        yield opening
    finally:
        with undisturbed():
            here.close()  # which it waits for
            process.join()
            shutil.rmtree(folder)


def _execute(parents: Connection, pipe: Connection, pg_ctl: str, folder: str, port: int) -> None:
    """In the forked process: send the seconds, or the reason for none; end the server when the
    parent hangs up or dies."""
    parents.close()
    os.setsid()  # Ctrl-C in a terminal is for the parent
    os.chdir(folder)
    os.environ["HOME"] = (
        folder  # where asyncpg looks for certificates; nobody may not look into root's
    )
    try:
        # While its files may still be read. (mypy: it is there only after `make bench`.)
        from pytest_postgresql.executors import PostgreSQLExecutor  # type: ignore[import-not-found, unused-ignore]

        if cache.SERVER_USER:
            os.setgroups([])
            os.setgid(cache.SERVER_USER.pw_gid)
            os.setuid(cache.SERVER_USER.pw_uid)
        # The defaults of the fixture.
        executor = PostgreSQLExecutor(
            executable=pg_ctl,
            host="127.0.0.1",
            port=port,
            datadir=f"{folder}/data",
            unixsocketdir=folder,
            logfile=f"{folder}/log",
            startparams="-w",
            dbname="tests",
            user="postgres",
        )
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
