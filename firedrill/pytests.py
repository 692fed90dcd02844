"""pytest, as many runs as a lesson or a check needs: one process imports it, and each run is a fork of that process.

    pytest = await pytests.start("testing", DATABASE_URL=dsn)
    await pytest("test_sales.py", "--asyncio-mode=auto")        # shows the summary that pytest prints
    await pytest.stop()

Every run is a pytest of its own, in `folder` with the pytest.ini that is there, and in a process group of its own: it is ended
with all that it started when it takes too long or writes too much, and when the notebook ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import re
import resource
import select
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 30.0                # seconds that a run may take
FLOOD = 1 << 20             # bytes that it may write into any one file
LOOK = 0.01                 # seconds between two looks at runs that go on
# Of the plugins that are installed only these. No bytecode: it is told apart by the second and the size of a file.
ASYNCIO, XDIST = "pytest_asyncio.plugin", "xdist.plugin"
WORLD = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000", "NO_COLOR": "1"}
OPTIONS = ("-q", "--no-header", "--tb=no", "-rpfEsx", "-p", "no:cacheprovider")
# xdist's workers get the arguments and no more, so a run with `-n` names its plugins there. They were imported before.
PARALLEL = (f"-p{ASYNCIO}", f"-p{XDIST}", "-Wignore::pytest.PytestAssertRewriteWarning")
LOOPS = re.compile(r"Task <.*> got Future <.*> attached")
SUMMARY = re.compile(r"^(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*", re.M)
TOTAL = re.compile(r"^((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)


@dataclass(frozen=True)
class Run:
    """Shown as the lines of pytest's summary, without the time that it took."""

    status: int             # pytest's exit status, or minus the signal that ended it
    output: str
    ended: str = ""         # why it was ended, if it was

    @property
    def lines(self) -> list[str]:
        """"PASSED test_sales.py::test_total", "FAILED test_sales.py::test_total - assert 1 == 2", and so on."""
        return [LOOPS.sub("Task <…> got Future <…> attached", line) for line in SUMMARY.findall(self.output)]

    @property
    def total(self) -> str:
        """"1 failed, 2 passed"."""
        found = TOTAL.findall(self.output)
        return self.ended or (found[-1] if found else self.output[-2000:])

    def __repr__(self) -> str:
        return "\n".join([*self.lines, self.total])


class Pytest:
    """Await it with pytest's arguments."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, variables: dict[str, str]) -> None:
        self._process, self._folder, self._variables = process, folder, variables
        self._waiting: dict[int, asyncio.Future[tuple[int, str]]] = {}
        self._count = 0
        self._reader = asyncio.create_task(self._read())

    async def __call__(self, *arguments: str, limit: float = LIMIT, **variables: str) -> Run:
        """One run; several may go on at a time. `variables` are added to its environment."""
        assert self._process.stdin
        self._count += 1
        number = self._count
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        with tempfile.NamedTemporaryFile(prefix="firedrill-pytest-") as output:
            request = {"number": number, "arguments": [*OPTIONS, *arguments], "folder": str(self._folder),
                       "variables": {**WORLD, **self._variables, **variables}, "output": output.name, "limit": limit}
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                status, ended = await answer
            finally:
                del self._waiting[number]
                if not answer.done() or answer.cancelled():     # nobody waits for it any more
                    with contextlib.suppress(OSError, RuntimeError):
                        self._process.stdin.write(json.dumps({"end": number}).encode() + b"\n")
            return Run(status, Path(output.name).read_text(errors="replace")[-FLOOD:], ended)

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            number, status, ended = json.loads(line)
            if (answer := self._waiting.get(number)) and not answer.done():
                answer.set_result((status, ended))
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(RuntimeError("the process that starts pytest has ended"))

    async def stop(self) -> None:
        """It ends by itself, too, when its notebook does: its standard input is over then."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()
        await self._reader


async def start(folder: str | Path, load: str = "", **variables: str) -> Pytest:
    """Runs of pytest in `folder`, with `variables` in their environment. They need not import the module `load` each."""
    world = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}    # as of a run around us
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, load, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=world, start_new_session=True)
    return Pytest(process, Path(folder).resolve(), variables)


# The other side


@dataclass
class Child:
    number: int
    output: str
    limit: float
    deadline: float
    ended: str = ""

    def too_much(self) -> str:
        if time.monotonic() > self.deadline:
            return f"it was still running after {self.limit:g} s, and was ended"
        with contextlib.suppress(OSError):
            if os.path.getsize(self.output) >= FLOOD:
                return f"it wrote more than {FLOOD >> 20} MB, and was ended"
        return ""


def serve(load: str) -> None:
    """Fork a run for each line on standard input, until that ends. No threads here, and no event loop: it forks."""
    import asyncpg  # noqa: F401  each run needs these
    import pytest

    with warnings.catch_warnings(action="ignore"):      # they are shown by pytest, if at all
        plugins = [importlib.import_module(name) for name in (ASYNCIO, XDIST)]
        if load:
            importlib.import_module(load)
    gc.freeze()     # pytest collects garbage several times at its end: not all of this again, in each run
    children: dict[int, Child] = {}
    buffer = b""
    try:
        while True:
            readable, _, _ = select.select([0], [], [], LOOK if children else None)
            if readable:
                if not (read := os.read(0, 1 << 16)):
                    return
                *lines, buffer = (buffer + read).split(b"\n")
                for line in lines:
                    request = json.loads(line)
                    if "end" in request:
                        for pid, child in children.items():
                            if child.number == request["end"]:
                                _end(pid)
                    elif pid := os.fork():
                        children[pid] = Child(request["number"], request["output"], request["limit"],
                                              time.monotonic() + request["limit"])
                        with contextlib.suppress(OSError):
                            os.setpgid(pid, pid)        # here too: the child may not have come to it yet
                    else:
                        os._exit(_run(pytest.main, plugins, request))
            _look_after(children)
    finally:
        for pid in children:
            _end(pid)


def _look_after(children: dict[int, Child]) -> None:
    for pid, child in list(children.items()):
        if not child.ended and (why := child.too_much()):
            child.ended = why
            _end(pid)
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            _end(pid)       # what it started and left behind
            del children[pid]
            code = os.waitstatus_to_exitcode(status)
            if code < 0 and not child.ended:
                child.ended = f"it died of {signal.Signals(-code).name}"
            print(json.dumps([child.number, code, child.ended]), flush=True)


def _run(main: Callable[..., int], plugins: list[Any], request: dict[str, Any]) -> int:
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FLOOD, FLOOD))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for descriptor in (1, 2):
            os.dup2(os.open(request["output"], os.O_WRONLY | os.O_APPEND), descriptor)
        os.environ.update(request["variables"])
        os.chdir(request["folder"])
        sys.dont_write_bytecode = True
        sys.path[0] = request["folder"]
        sys.argv = ["pytest", *request["arguments"]]
        parallel = "-n" in request["arguments"]
        status = int(main([*PARALLEL * parallel, *request["arguments"]], plugins=[] if parallel else plugins))
        sys.stdout.flush()
        return status
    except BaseException as error:      # SystemExit in a test file, say
        with contextlib.suppress(Exception):
            print(f"{type(error).__name__}: {error}", flush=True)
        return 70


def _end(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve(sys.argv[1])
