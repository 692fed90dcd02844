"""What a pair may leave behind: its folder, its processes, their shared memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil


def processes_of(folder: Path) -> list[psutil.Process]:
    """All whose command line or working directory lies in a pair's folder: servers, their children, the undertaker."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in " ".join(process.cmdline()) or process.cwd().startswith(str(folder)):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def shared_memory() -> set[str]:
    """System V segments of this machine."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it comes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0)
    return True
