"""pytest, as many runs as a lesson or a check needs: one process imports it, and each run is a
fork of that process.

    pytest = pytests.Pytest("testing", DATABASE_URL=dsn)
    await pytest("test_sales.py", "--asyncio-mode=auto")    # shows the summary that pytest prints

Every run is a separate pytest, in `folder` with the pytest.ini that is there, and in its own
process group: it is ended with all that it started when it takes too long or writes too much, and
when the notebook ends.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import re
import resource
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .forks import Forks

LIMIT = 30.0  # seconds that a run may take
FLOOD = 1 << 20  # bytes that it may write into any one file
LOOK = 0.01  # seconds between two looks at a run that goes on
# Of the plugins that are installed only these. No bytecode: it is told apart by the second and the
# size of a file.
ASYNCIO, XDIST = "pytest_asyncio.plugin", "xdist.plugin"
WORLD = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "COLUMNS": "1000",
    "NO_COLOR": "1",
}
OPTIONS = ("-q", "--no-header", "--tb=no", "-rpfEsx", "-p", "no:cacheprovider")
# xdist's workers get the arguments and no more, so a run with `-n` names its plugins there. They
# were imported before.
PARALLEL = (f"-p{ASYNCIO}", f"-p{XDIST}", "-Wignore::pytest.PytestAssertRewriteWarning")
LOOPS = re.compile(r"Task <.*> got Future <.*> attached")
SUMMARY = re.compile(r"^(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*", re.M)
TOTAL = re.compile(r"^((?:\d+ \w+(?:, )?)+) in [\d.]+s", re.M)


@dataclass(frozen=True)
class Run:
    """Shown as the lines of pytest's summary, without the time that it took."""

    status: int  # pytest's exit status, or minus the signal that ended it
    output: str
    ended: str = ""  # why it was ended, if it was

    @property
    def lines(self) -> list[str]:
        """ "PASSED test_sales.py::test_total", "FAILED test_sales.py::test_sum - assert 1 == 2"."""
        return [
            LOOPS.sub("Task <…> got Future <…> attached", line)
            for line in SUMMARY.findall(self.output)
        ]

    @property
    def total(self) -> str:
        """ "1 failed, 2 passed"."""
        found = TOTAL.findall(self.output)
        return self.ended or (found[-1] if found else self.output[-2000:])

    def __repr__(self) -> str:
        return "\n".join([*self.lines, self.total])


class Pytest:
    """Runs in `folder`, with `variables` in their environment.

    They need not import the module `load` each.
    """

    def __init__(self, folder: str | Path, load: str = "", **variables: str) -> None:
        self._folder, self._variables = Path(folder).resolve(), variables
        self._forks = _forks(load)
        self._forks.prepare()

    async def __call__(self, *arguments: str, limit: float = LIMIT, **variables: str) -> Run:
        """One run, with pytest's arguments; several may go on at a time.

        `variables` are added to its environment.
        """
        await asyncio.to_thread(self._forks.ready)
        with tempfile.NamedTemporaryFile(prefix="firedrill-pytest-") as output:
            fork = self._forks.start(
                output.name,
                folder=str(self._folder),
                arguments=[*OPTIONS, *arguments],
                variables={**WORLD, **self._variables, **variables},
            )
            deadline, ended = time.monotonic() + limit, ""
            try:
                while (
                    (status := fork.exit_code) is None
                    and time.monotonic() < deadline
                    and _size(output) < FLOOD
                ):
                    await asyncio.sleep(LOOK)
            finally:
                fork.kill()
            if _size(output) >= FLOOD:
                ended = f"it wrote more than {FLOOD >> 20} MB, and was ended"
            elif status is None:
                ended = f"it was still running after {limit:g} s, and was ended"
            elif status < 0:
                ended = f"it died of {signal.Signals(-status).name}"
            return Run(
                fork.exit_code or 0, Path(output.name).read_text(errors="replace")[-FLOOD:], ended
            )


def _size(output: Any) -> int:
    return os.fstat(output.fileno()).st_size


@functools.cache
def _forks(load: str) -> Forks:
    return Forks(f"{__name__}:run", *filter(None, ("asyncpg", "pytest", ASYNCIO, XDIST, load)))


def run(folder: str, arguments: list[str], variables: dict[str, str]) -> int:
    """In the forked process."""
    import pytest

    resource.setrlimit(resource.RLIMIT_FSIZE, (FLOOD, FLOOD))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.environ.update(variables)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path[0] = folder
    sys.argv = ["pytest", *arguments]
    try:
        if "-n" in arguments:
            return int(pytest.main([*PARALLEL, *arguments]))
        return int(
            pytest.main(
                arguments, plugins=[importlib.import_module(name) for name in (ASYNCIO, XDIST)]
            )
        )
    except BaseException as error:  # SystemExit in a test file, say
        print(f"{type(error).__name__}: {error}", flush=True)
        return 70
