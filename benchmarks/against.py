"""`make bench-against REV`: this build and another commit, measured in turns on the same machine.

Both are checked out next to each other, without what is not committed here, and each gets its own
.venv and its own cache: the first start counts from an empty folder until JupyterLab has said its
address. Processor time is that of all descendants, also of servers that have left their parent.
`make test` and all lessons take half an hour for each build.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .processor_time import Spent, spent
from .row import REPOSITORY

ROUNDS = 5  # of what takes seconds
PAIR = """
import time
from firedrill import servers
servers.open("embedded").close()
begun = time.perf_counter()
servers.open("embedded").close()
print(time.perf_counter() - begun)
"""
# The peak of a kernel's memory after the first cell of lesson 01, in MB.
MEMORY = """
import json, pathlib, re
from jupyter_client.manager import start_new_kernel
cells = json.loads(pathlib.Path("notebooks/01_connecting.ipynb").read_text())["cells"]
source = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
manager, client = start_new_kernel(cwd="notebooks")
client.execute_interactive(source, timeout=60, output_hook=lambda message: None)
status = pathlib.Path(f"/proc/{manager.provisioner.pid}/status").read_text()
manager.shutdown_kernel()
print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024)
"""


@dataclass(frozen=True)
class Build:
    folder: Path

    def environment(self) -> dict[str, str]:
        own = {"FIREDRILL_CACHE": f"{self.folder}-cache", "FIREDRILL_PROGRESS": os.devnull}
        return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own

    def run(self, *command: str, until: str = "") -> Spent:
        return spent(list(command), cwd=self.folder, environment=self.environment(), until=until)

    def number(self, code: str) -> float:
        """What a program prints in its last line."""
        done = subprocess.run(
            [".venv/bin/python", "-c", code],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout.split()[-1])


@contextlib.contextmanager
def builds(revision: str) -> Iterator[list[Build]]:
    """This commit and the other one, in a folder that goes again."""
    room = Path(tempfile.mkdtemp(prefix="firedrill-against-", dir="/var/tmp"))
    room.chmod(0o755)  # root's servers run as nobody
    both = [Build(room / name) for name in ("this", "other")]
    try:
        for build, commit in zip(both, ("HEAD", revision), strict=True):
            git("worktree", "add", "--quiet", "--detach", str(build.folder), commit)
            Path(f"{build.folder}-cache").mkdir(mode=0o755)
        yield both
    finally:
        for build in both:
            with contextlib.suppress(subprocess.CalledProcessError):  # it was not made
                git("worktree", "remove", "--force", str(build.folder))
        shutil.rmtree(room, ignore_errors=True)


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def main(revision: str) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = [git("rev-parse", "--short", commit) for commit in ("HEAD", revision)]
    print(f"| what | {names[0]} | {names[1]} | ratio |\n|---|---|---|---|", flush=True)
    with builds(revision) as both:
        page = ["make", "lab", f"ARGS=--no-browser --port {free_port()}"]
        compare("first start", [one.run(*page, until="The lessons are open") for one in both])
        for one in both:  # what only the checks need
            one.run("make", "test", "ARGS=tests/test_expect.py")
        compare("make test", [one.run("make", "test") for one in both])
        nbval = (".venv/bin/pytest", "-q", "--nbval", "notebooks/")
        compare("pytest --nbval notebooks/", [one.run(*nbval) for one in both])
        for what, code in (
            ("opening and closing a pair, s", PAIR),
            ("a kernel's peak, MB", MEMORY),
        ):
            turns = [[one.number(code) for one in both] for _ in range(ROUNDS)]
            row(what, *(median(figures) for figures in zip(*turns, strict=True)))
    return 0


def compare(what: str, both: list[Spent]) -> None:
    row(f"{what}, s", *(one.seconds for one in both))
    row(f"{what}, s of processor time", *(one.processor for one in both))
    for one in both:
        if failed := re.findall(r"^\d+ failed.*|^make: \*\*\*.*", one.output, re.M):
            print(f"\n{what}: {failed[-1]}\n", flush=True)


def row(what: str, this: float, other: float) -> None:
    print(f"| {what} | {this:.2f} | {other:.2f} | {this / other:.2f}x |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
