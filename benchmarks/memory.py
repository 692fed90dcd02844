"""Memory: the proportional set size (Pss in /proc/PID/smaps_rollup: memory shared by several processes is divided among
them) of all processes that opening one embedded pair has started and that are there 3 s after its first query: PostgreSQL,
PgBouncer, the connection between them, and the shell that watches over them. The kernel of the notebook is not counted, nor
is the page cache.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from statistics import median

from .opening import embedded
from .row import Row

ROUNDS = 5
SETTLE = 3      # seconds: until the preparation of the next pair's data is over
TARGET = 30     # MB


def rows() -> list[Row]:
    what = "memory of an idle pair, embedded (PSS)"
    if sys.platform != "linux":
        return [Row(what, "not measured: only Linux has /proc")]
    totals: list[float] = []
    for number in range(ROUNDS):
        print(f"memory: round {number + 1} of {ROUNDS}", flush=True)
        before = descendants(os.getpid())
        with embedded():
            time.sleep(SETTLE)
            totals.append(sum(pss(pid) for pid in descendants(os.getpid()) - before))
    return [Row(what, f"{median(totals):.1f} MB ({max(totals):.1f} MB)", target=f"worst ≤ {TARGET} MB",
                reached=max(totals) <= TARGET)]


def descendants(pid: int) -> set[int]:
    children = {int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()}
    return children.union(*(descendants(child) for child in children))


def pss(pid: int) -> float:
    """In MB (1,048,576 bytes)."""
    found = re.search(r"^Pss: +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) / 1024
