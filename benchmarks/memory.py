"""Memory: the proportional set size (Pss in /proc/PID/smaps_rollup: memory shared by several
processes is divided among them) of all processes that opening one embedded pair has started:
PostgreSQL, PgBouncer, and the shell that watches over them. Taken twice, each time after 3 s of
rest: when nobody has asked anything yet, and after the first query, from when on PgBouncer keeps
a connection to PostgreSQL (`server_idle_timeout`, ten minutes). The kernel of the notebook is
not counted, nor is the page cache. No other pair shares this one's programs: two at a time would
take less than twice as much.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from statistics import median

from firedrill.servers import open as open_pair

from .row import Row
from .ways import answer

ROUNDS = 5
SETTLE = 3  # seconds: until the preparation of the next pair's data is over
TARGET = 30  # MB


def rows() -> list[Row]:
    what = "memory of an idle pair, embedded (PSS)"
    if sys.platform != "linux":
        return [Row(what, "not measured: only Linux has /proc")]
    fresh, used = [], []
    for number in range(ROUNDS):
        print(f"memory: round {number + 1} of {ROUNDS}", flush=True)
        before = descendants(os.getpid())
        with open_pair("embedded") as stack:
            fresh.append(_settled(before))
            answer(stack.pgbouncer.dsn("transaction"))
            used.append(_settled(before))
    return [
        Row(
            f"{what}, {when}",
            f"{median(sizes):.1f} MB ({max(sizes):.1f} MB)",
            target=f"worst ≤ {TARGET} MB",
            reached=max(sizes) <= TARGET,
        )
        for when, sizes in (("before any query", fresh), ("after its first query", used))
    ]


def _settled(before: set[int]) -> float:
    time.sleep(SETTLE)
    return sum(pss(pid) for pid in descendants(os.getpid()) - before)


def descendants(pid: int) -> set[int]:
    children = {
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    }
    return children.union(*(descendants(child) for child in children))


def pss(pid: int) -> float:
    """In MB (1,048,576 bytes)."""
    found = re.search(r"^Pss: +(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found
    return int(found[1]) / 1024
