"""A second Python process for a notebook, since asyncpg counts the names of its prepared
statements per process.

    b = await worker.start(dsn=stack.pgbouncer.dsn("transaction"))
    await b("conn = await asyncpg.connect(dsn)")
    await b("await conn.fetchval('select 1')")          # its value, or its exception raised here
    await b.stop()

The whole protocol: a pickled source text goes in, a pickled (value, exception) comes out.
"""

from __future__ import annotations

import ast
import asyncio
import pickle
import struct
import sys
from typing import Any

LENGTH = struct.Struct("!I")


class Worker:
    """Await `worker(source)`: the process runs it at its top level, as a notebook runs a cell,
    and gives the last value.

    What cannot be pickled (a Record, a connection) raises TypeError or the like, after the
    source has run.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, source: str, **variables: Any) -> Any:
        """`variables` are set before the source runs. Raises what the source raises."""
        assert self._process.stdin
        assert self._process.stdout
        message = pickle.dumps((source, variables))
        self._process.stdin.write(LENGTH.pack(len(message)) + message)
        size = LENGTH.unpack(await self._process.stdout.readexactly(LENGTH.size))[0]
        value, error = pickle.loads(await self._process.stdout.readexactly(size))
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        """For one that may not answer any more."""
        if self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """It ends by itself, too, when its notebook does: its standard input is over then."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()


async def start(**variables: Any) -> Worker:
    """A new process, with `asyncio` and `asyncpg` imported and `variables` set."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __spec__.name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        start_new_session=True,
    )
    worker = Worker(process)
    await worker("import asyncio, asyncpg", **variables)
    return worker


async def serve() -> None:
    """The other side: run what arrives on standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader, world = asyncio.StreamReader(limit=1 << 24), {"__name__": "__main__"}
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    answers, sys.stdout = (
        sys.stdout.buffer,
        sys.stderr,
    )  # what the source prints must not get between the answers
    while header := await reader.read(LENGTH.size):
        source, variables = pickle.loads(await reader.readexactly(LENGTH.unpack(header)[0]))
        world |= variables
        try:
            answer = pickle.dumps((await run(source, world), None))
        except BaseException as error:
            error.__traceback__ = None
            answer = pickle.dumps((None, error))
        answers.write(LENGTH.pack(len(answer)) + answer)
        answers.flush()


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


if __name__ == "__main__":
    asyncio.run(serve())
