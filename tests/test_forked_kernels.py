"""In a forked kernel every cell ends as in one that has started from nothing; nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, RunningKernel

from firedrill.authoring import kernels

from .leftovers import eventually

ROOT = Path(__file__).parents[1]
# Processes of processes, and the memory of a process, of which a fork shares a part.
LESSONS = ("10_prepared_statements", "13_cursors")
STARTED_FROM_NOTHING = """
import nbval.kernel, nbval.plugin, pytest

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    nbval.plugin.RunningKernel = nbval.kernel.RunningKernel
"""
# What a cell can see of its process, and how it may end.
CELLS = (
    "import os, signal, sys, threading, warnings; print(sys.path, sys.flags, sys.executable)",
    "print(os.getcwd(), sorted(set(os.environ) - {'JPY_PARENT_PID', 'JPY_SESSION_NAME'}))",
    "print([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGCHLD, signal.SIGTERM)])",
    "print(threading.active_count(), os.getpgid(0) == os.getpid(), os.umask(0o22))",
    "import matplotlib.figure; print(sorted(map(str, warnings.filters)))",
    "print([m for m in ('matplotlib.pyplot', 'pytest', 'nbval', 'fastapi') if m in sys.modules])",
    "import asyncpg; print(asyncpg.connection._uid, __name__, sys.modules['__main__'].__name__)",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show(); print(plt.get_backend())",
    "import gc, logging; print(logging.root.handlers, sys.gettrace(), gc.isenabled())",
    "import psutil; print(len(psutil.Process().children()), os.isatty(0), sys.stdin.isatty())",
    "!echo to the first descriptor; echo to the second >&2",
    "print('to stderr', file=sys.stderr); warnings.warn('told', stacklevel=1)",
    "class Kept: pass\nimport pickle; pickle.loads(pickle.dumps(Kept())).__class__ is Kept",
    "await asyncpg.connect(port=1, host='127.0.0.1')",
    "input()",
    "1 / 0",
    "%history -n 1-3",
)
PATIENCE = 20.0  # seconds for a message

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked here")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[RunningKernel]]:
    started = [
        kernels.ForkedKernel(CURRENT_ENV_KERNEL_NAME, cwd=str(tmp_path)),
        RunningKernel(CURRENT_ENV_KERNEL_NAME, cwd=str(tmp_path)),
    ]
    yield started
    for kernel in started:
        if kernel.is_alive():
            kernel.stop()


def told(kernel: RunningKernel, cell: str) -> list[tuple[str, ...]]:
    """What nbval would compare: kinds and texts of the messages, those of a stream put together."""
    asked = kernel.execute_cell_input(cell, allow_stdin=False)
    kernel.await_reply(asked, timeout=PATIENCE)
    found: list[tuple[str, ...]] = []
    streams: dict[str, str] = {}
    while True:
        message = kernel.get_message("iopub", timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return [*found, *sorted(streams.items())]
        if kind == "stream":
            streams[content["name"]] = streams.get(content["name"], "") + content["text"]
        elif kind == "error":
            found.append((kind, content["ename"], content["evalue"]))
        elif "data" in content:
            found.append((kind, *sorted(content["data"]), content["data"].get("text/plain", "")))


def test_a_cell_sees_nothing_of_the_process_that_forks(both: list[RunningKernel]) -> None:
    forked, started = both
    for cell in CELLS:
        # The file of a cell's warning is named for the kernel's process.
        here, there = (
            json.loads(json.dumps(told(kernel, cell)).replace(str(pid), "PID"))
            for kernel, pid in ((forked, forked.pid), (started, started.km.provisioner.pid))
        )
        assert here == there, cell


def test_a_cell_that_hangs_can_be_interrupted_and_a_killed_kernel_is_noticed(
    both: list[RunningKernel],
) -> None:
    ends = []
    for kernel in both:
        asked = kernel.execute_cell_input("import time\nprint('begun')\ntime.sleep(600)")
        while kernel.get_message("iopub", timeout=PATIENCE)["msg_type"] != "stream":
            pass
        kernel.interrupt()
        kernel.await_reply(asked, timeout=PATIENCE)
        told(kernel, "x = 1")
        assert told(kernel, "print(x)") == [("stdout", "1\n")], "it goes on"
        kernel.execute_cell_input("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        ends.append(eventually(lambda kernel=kernel: not kernel.is_alive(), PATIENCE))  # type: ignore[misc]
    assert ends == [True, True]


def outcomes(folder: Path, lesson: Path, *, forked: bool) -> dict[str, str]:
    """For each cell what a plain `pytest --nbval` says of it."""
    (folder / "started_from_nothing.py").write_text(STARTED_FROM_NOTHING)
    report = folder / f"forked-{forked}.xml"
    plain = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", str(lesson)]
    subprocess.run(
        [*plain, f"--junitxml={report}", *(() if forked else ("-p", "started_from_nothing"))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=300,
    )
    return {
        f"{case.get('classname')}::{case.get('name')}": "".join(
            f"{part.tag} {part.get('message')}" for part in case
        )
        for case in ElementTree.parse(report).iter("testcase")
    }


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_cell_of_a_lesson_ends_as_in_a_kernel_started_from_nothing(
    lesson: str, tmp_path: Path
) -> None:
    path = ROOT / f"notebooks/{lesson}.ipynb"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    forked = outcomes(tmp_path, path, forked=True)
    assert len(forked) == sum(cell["cell_type"] == "code" for cell in cells)
    assert set(forked.values()) == {""}, "each passes"
    assert forked == outcomes(tmp_path, path, forked=False)


def test_a_killed_pytest_leaves_no_kernel() -> None:
    code = """
import os, signal
from firedrill.authoring import kernels
kernel = kernels.ForkedKernel("any")
print(kernel.pid, kernels._forks._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    for pid in map(int, killed.stdout.split()):
        assert eventually(lambda pid=pid: not psutil.pid_exists(pid), 10)  # type: ignore[misc]
