"""What a pair may leave behind: its folder, its processes, their shared memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

BEGUN = int(time.time())


def processes_of(folder: Path) -> list[psutil.Process]:
    """All whose command line or working directory lies in a pair's folder: servers, their
    children, the watchdog."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) or process.cwd().startswith(str(folder)):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def shared_memory_of(pids: set[int]) -> list[str]:
    """The System V segments that these processes have made.

    The number of one may have been another's, before these tests.
    """
    header, *lines = Path("/proc/sysvipc/shm").read_text().splitlines()
    maker, made = map(header.split().index, ("cpid", "ctime"))
    return [
        line
        for line in lines
        if int(line.split()[maker]) in pids and int(line.split()[made]) >= BEGUN
    ]


def pids_of(folder: Path) -> set[int]:
    return {process.pid for process in processes_of(folder)}


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0)
    return True
