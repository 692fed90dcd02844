"""`python -m benchmarks.processor_time COMMAND ...`: where the processor time of a command goes.

    python -m benchmarks.processor_time .venv/bin/pytest -q --nbval notebooks/

Counted are all its descendants, also servers that have left it, by kind of process. They are looked
at ten times a second; what lived shorter is in the last line. Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): who loses its parent becomes a child of this process
PAUSE = 0.1  # seconds between two looks
FAREWELL = 20.0  # seconds for servers to end after the command
# The first that occurs in a command line names its kind.
KINDS = (
    ("kernel_fork", "kernels, forked, and what forks them"),
    ("ipykernel_launcher", "kernels, started from nothing"),
    ("firedrill.worker", "second processes of lessons and checks, and what forks them"),
    ("firedrill.pytests", "pytest as lessons run it"),
    ("firedrill.service", "FastAPI"),
    ("jupyter", "JupyterLab"),
    ("firedrill.lab", "JupyterLab"),
    ("chrom", "Chromium"),
    ("playwright", "Chromium"),
    ("pytest", "pytest: its workers and the checks in them"),
    ("execnet", "pytest: its workers and the checks in them"),
    ("pgbouncer", "PgBouncer"),
    ("postgres", "PostgreSQL"),
    ("mypy", "mypy and ruff"),
    ("ruff", "mypy and ruff"),
    ("python", "other Python processes"),
)


@dataclass
class Spent:
    """By a command and its descendants, in seconds."""

    seconds: float = 0.0
    processor: float = 0.0
    status: int = 0
    output: str = ""
    by_process: dict[tuple[int, float], tuple[str, float]] = field(default_factory=dict)

    def by_kind(self) -> dict[str, float]:
        sums: dict[str, float] = defaultdict(float)
        for line, processor in self.by_process.values():
            sums[next((kind for part, kind in KINDS if part in line), "others")] += processor
        rest = self.processor - sum(sums.values())
        return {**sums, "what lived for less than a look": max(0.0, rest)}


def spent(
    command: list[str],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    until: str = "",
) -> Spent:
    """Run it to its end or, with `until`, until it has printed that; then it gets SIGTERM."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    found, before, begun = Spent(), _processor_time(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        end = None
        try:
            while True:
                _look(found)
                if end is None and until and until in _text(output):
                    found.seconds = time.perf_counter() - begun
                    os.killpg(process.pid, signal.SIGTERM)
                    until = ""
                if end is None and process.poll() is not None:
                    found.seconds = found.seconds or time.perf_counter() - begun
                    end = time.monotonic() + FAREWELL
                if end is not None and (_none_left() or time.monotonic() > end):
                    break
                time.sleep(PAUSE)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            raise
        found.output, found.status = _text(output), int(process.returncode)
    found.processor = _processor_time() - before
    return found


def _text(output: IO[str]) -> str:
    return os.pread(output.fileno(), 1 << 24, 0).decode(errors="replace")


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _look(found: Spent) -> None:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times, line = child.cpu_times(), " ".join(child.cmdline())
            if line:  # a process that has ended has none
                key = child.pid, child.create_time()
                found.by_process[key] = line, times.user + times.system


def _none_left() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def main(command: list[str]) -> int:
    found = spent(command)
    print(found.output[-2000:])
    load = os.getloadavg()[0]
    print(f"{found.processor:.1f} s of processor time in {found.seconds:.1f} s; load {load:.1f}\n")
    print("| | s | % |\n|---|---|---|")
    for kind, seconds in sorted(found.by_kind().items(), key=lambda pair: -pair[1]):
        print(f"| {kind} | {seconds:.1f} | {100 * seconds / found.processor:.0f} |")
    return found.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
