"""Runs of pytest that a lesson or a check starts: what they see of the world, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firedrill import pytests

HANGS = """
import os, pathlib, subprocess, time

def test_hangs():
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path("noted").write_text(f"{os.getpid()} {child.pid}")
    pathlib.Path("noted").rename("pids")
    time.sleep(600)
"""
NOTEBOOK = """
import asyncio, sys
from firedrill import pytests

async def main():
    await pytests.Pytest(sys.argv[1])("test_it.py", limit=600)

asyncio.run(main())
"""


def run(
    folder: Path, source: str, *arguments: str, limit: float = 20, **variables: str
) -> pytests.Run:
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    (folder / "test_it.py").write_text(source)
    return asyncio.run(pytests.Pytest(folder)("test_it.py", *arguments, limit=limit, **variables))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (ProcessLookupError, FileNotFoundError):
        return True


def until_gone(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while not all(gone(int(pid)) for pid in (folder / "pids").read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_its_folder_and_variables_count_and_nothing_of_the_run_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    found = run(
        tmp_path,
        "import os, pathlib\ndef test_world(pytestconfig):\n"
        "    assert os.environ['DATABASE_URL'] == 'x'\n"
        "    assert 'PYTEST_ADDOPTS' not in os.environ\n"
        "    assert not pytestconfig.pluginmanager.has_plugin('nbval')\n"
        "    assert pytestconfig.rootpath == pathlib.Path.cwd()\n",
        DATABASE_URL="x",
    )
    assert (found.lines, found.total, found.status) == (
        ["PASSED test_it.py::test_world"],
        "1 passed",
        0,
    ), found.output


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import time\ndef test_it(): time.sleep(600)", "still running after 1 s"),
        ("while True: pass", "still running after 1 s"),
        ("import os\nwhile True: os.write(1, b'x' * 100_000)", "wrote more than 1 MB"),
        ("import nonsense", "1 error"),
        ("raise SystemExit(0)", "SystemExit"),
        ("import os\nos._exit(0)", ""),
        ("import os\nos.abort()", "it died of SIGABRT"),
    ],
    ids=[
        "hangs",
        "hangs at import",
        "floods",
        "imports what is not there",
        "leaves",
        "ends its process",
        "dies",
    ],
)
def test_a_run_that_goes_wrong_is_ended_and_says_so(tmp_path: Path, source: str, said: str) -> None:
    found = run(tmp_path, source, "-s", limit=1 if "still" in said else 20)
    assert said in repr(found)
    assert not found.lines or "PASSED" not in found.output


def test_what_a_run_has_started_ends_with_it(tmp_path: Path) -> None:
    assert "still running" in run(tmp_path, HANGS, limit=3).ended
    until_gone(tmp_path)


def test_a_killed_notebook_leaves_no_run(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "test_it.py").write_text(HANGS)
    notebook = subprocess.Popen([sys.executable, "-c", NOTEBOOK, str(tmp_path)])
    deadline = time.monotonic() + 20
    while not (tmp_path / "pids").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    notebook.send_signal(signal.SIGKILL)
    notebook.wait()
    until_gone(tmp_path)
