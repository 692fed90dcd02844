"""A second Python process for a notebook: asyncpg names its prepared statements per process.

    b = await worker.start(dsn=stack.pgbouncer.dsn("transaction"))
    await b("conn = await asyncpg.connect(dsn)")
    await b("await conn.fetchval('select 1')")          # its value, or its exception raised here
    await b.stop()

    old = await worker.start(asyncpg="0.30.0")          # another release, from the cache

It is a fork of a process that has imported asyncpg and used nothing of it, so its names start at
the beginning, too.

The whole protocol: a pickled source text goes in, a pickled (value, exception) comes out.
"""

from __future__ import annotations

import ast
import asyncio
import functools
import os
import pickle
import socket
import struct
import time
from typing import Any

from .forks import Fork, Forks

LENGTH = struct.Struct("!I")
LIMIT = 45.0  # seconds for one source text; a cell has sixty
FAREWELL = 10.0  # seconds for a process to end once nothing more can come


class Worker:
    """Await `worker(source)`: the process runs it at its top level, as a notebook runs a cell.

    Gives the last value. What cannot be pickled (a Record, a connection) raises TypeError or the
    like, after the source has run.
    """

    def __init__(
        self, fork: Fork, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._fork = fork
        self._reader, self._writer = reader, writer

    async def __call__(self, source: str, **variables: Any) -> Any:
        """`variables` are set before the source runs. Raises what the source raises.

        Raises TimeoutError after 45 s, and ends the process.
        """
        try:
            async with asyncio.timeout(LIMIT) as limit:
                return await self.run(source, **variables)
        except TimeoutError:
            if not limit.expired():
                raise
            self.kill()  # its answer would be taken for that to the next source
            raise TimeoutError(
                f"The second process has not answered within {LIMIT:g} s, and was ended. "
                f"It was to run: {source.strip()[:200]}"
            ) from None

    async def run(self, source: str, **variables: Any) -> Any:
        """The same, for as long as it takes."""
        message = pickle.dumps((source, variables))
        self._writer.write(LENGTH.pack(len(message)) + message)
        size = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))[0]
        value, error = pickle.loads(await self._reader.readexactly(size))
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        """For one that may not answer any more."""
        self._fork.kill()

    async def stop(self) -> None:
        """It ends by itself, too, when its notebook does: its socket is closed then."""
        self._writer.close()
        deadline = time.monotonic() + FAREWELL
        while self._fork.exit_code is None and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
        self._fork.kill()


async def start(*modules: str, asyncpg: str | None = None, **variables: Any) -> Worker:
    """A new process, with `asyncio` and `asyncpg` imported and `variables` set.

    `modules` are imported once, by the process that forks. Importing SQLAlchemy takes a second of
    each process that does it. `asyncpg` names another release ("0.30.0"), which is fetched on first
    use. Raises `Unavailable` where PyPI has none for this Python. An exception that the source
    raises is raised here as the class of this process's asyncpg.
    """
    folder = ""
    if asyncpg:
        from . import releases

        folder = str(await asyncio.to_thread(releases.provide, asyncpg))
    forks = _forks(folder, *modules)
    await asyncio.to_thread(forks.ready)
    ours, theirs = socket.socketpair()
    with theirs:  # its errors go where ours do
        fork = forks.start(os.devnull, files=[theirs.fileno(), 2])
    worker = Worker(fork, *await asyncio.open_connection(sock=ours, limit=1 << 24))
    await worker("import asyncio, asyncpg", **variables)
    return worker


@functools.cache
def _forks(folder: str, *modules: str) -> Forks:
    """Of a process that finds packages in `folder` first."""
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": path} if folder else {}
    return Forks(f"{__name__}:fork", "asyncpg", "firedrill.load", *modules, **environment)


# The other side.


def fork(files: list[int]) -> int:
    """A separate process; `files` are its connection and where it writes errors."""
    for stream in (1, 2):  # what the source prints must not get lost, nor between the answers
        os.dup2(files[1], stream)
    asyncio.run(serve(socket.socket(fileno=files[0])))
    return 0


async def serve(connection: socket.socket) -> None:
    """Run what arrives until the connection is closed."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 24)
    world: dict[str, Any] = {"__name__": "__main__"}
    while header := await reader.read(LENGTH.size):
        source, variables = pickle.loads(await reader.readexactly(LENGTH.unpack(header)[0]))
        world |= variables
        try:
            answer = pickle.dumps((await run(source, world), None))
        except BaseException as error:
            error.__traceback__ = None
            answer = pickle.dumps((None, error))
        writer.write(LENGTH.pack(len(answer)) + answer)
        await writer.drain()


async def run(source: str, world: dict[str, Any]) -> Any:
    """Execute `source` in `world`; `await` may stand at its top level.

    Returns the value of its last line, if that has one.
    """
    tree = ast.parse(source)
    last = tree.body[-1] if tree.body else None
    parts: list[tuple[ast.Module | ast.Expression, str]] = [(tree, "exec")]
    if isinstance(last, ast.Expr):
        tree.body.pop()
        parts.append((ast.Expression(last.value), "eval"))
    value = None
    for part, mode in parts:
        value = eval(compile(part, "<worker>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), world)
        if asyncio.iscoroutine(value):
            value = await value
    return value
