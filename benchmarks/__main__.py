"""Run every benchmark and write RESULTS.md.

To add figures: write a module whose docstring says how they are measured and whose `rows()`
returns them, and name it in `MODULES`. A peer that is not there is a row that says so, not an
error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from firedrill.servers import Unavailable

from . import cold, drivers, machine, memory, notebooks, opening, remedies, wire
from .ending import undisturbed
from .row import Row, not_measured

RESULTS = Path(__file__).with_name("RESULTS.md")
MODULES = (
    cold,
    opening,
    memory,
    notebooks,
    wire,
    remedies,
    drivers,
)  # `cold` makes the cache that the others use
HEAD = (
    "| what | median (worst) | peer | peer's median (worst) | ratio (worst round) | target | |\n"
    "|---|---|---|---|---|---|---|"
)


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    try:
        with own_cache():
            found = [row for module in MODULES for row in measured(module)]
            facts = machine.facts()
    except KeyboardInterrupt:
        print("Interrupted. What was started has been ended; RESULTS.md is as it was.")
        return 130
    minutes = f"{(time.monotonic() - start) / 60:.0f}"
    RESULTS.write_text(
        page(
            found, {"date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {minutes} minutes", **facts}
        ),
        encoding="utf-8",
    )
    print("\n".join((HEAD, *map(str, found))))
    return 0


@contextlib.contextmanager
def own_cache() -> Iterator[None]:
    """A FIREDRILL_CACHE, thrown away at the end, so that nothing which this machine has done
    before counts.

    On disk, as a learner's is: /tmp may be memory.
    """
    folder = Path(
        tempfile.mkdtemp(
            prefix="firedrill-bench-", dir="/var/tmp" if os.path.isdir("/var/tmp") else None
        )
    )
    folder.chmod(0o755)  # root's servers run as nobody, see also `cold`
    os.environ["FIREDRILL_CACHE"] = str(folder)
    try:
        yield
    finally:
        with undisturbed():
            deadline = time.monotonic() + 30
            # The pairs of kernels end a moment after the kernels, and a copy made ahead may still
            # be under way.
            while any(folder.glob("*/run/*/owner")) and time.monotonic() < deadline:
                time.sleep(0.1)
            while folder.exists() and time.monotonic() < deadline:
                shutil.rmtree(folder, ignore_errors=True)
                time.sleep(0.1)


def measured(module: ModuleType) -> list[Row]:
    try:
        rows: list[Row] = module.rows()
        return rows
    except Unavailable as error:
        return [Row(f"benchmarks/{module.__name__.rpartition('.')[2]}.py", not_measured(error))]


def page(rows: list[Row], facts: dict[str, str]) -> str:
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`: one run, one machine, the ways of each comparison taking "
            "turns.",
            "",
            HEAD,
            *map(str, rows),
            "",
            "## The run",
            "",
            "| | |",
            "|---|---|",
            *(f"| {name} | {fact} |" for name, fact in facts.items()),
            "",
            "## How it is measured",
            "",
            *(f"{(module.__doc__ or '').strip()}\n" for module in MODULES),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
