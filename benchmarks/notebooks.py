"""Notebooks: `pytest --nbval notebooks/`, which runs and compares them, next to the same
notebooks executed by nbclient one after the other in one process, without comparing. Both are
whole processes, from start to end, so pytest's own start and collection count, as do Python's
and nbclient's; the kernels, the environment and the embedded servers are the same. The two take
turns, one uncounted run of each first. Few notebooks make pytest's fixed costs weigh more.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from statistics import median

from firedrill.authoring.notebooks import ENVIRONMENT

from .ending import run
from .row import REPOSITORY, Row, in_seconds, not_measured

ROUNDS = 1  # all notebooks, each way: minutes
TARGET = 1.3
# pytest-postgresql, a peer of `opening`, would be loaded by every pytest here, which no learner's
# is.
NBVAL = [
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "no:pytest_postgresql",
    "--nbval",
    "notebooks/",
    "-q",
]


def rows() -> list[Row]:
    paths = sorted(
        str(path.relative_to(REPOSITORY)) for path in REPOSITORY.glob("notebooks/*.ipynb")
    )
    what = f"`pytest --nbval`, {len(paths)} notebook{'s' if len(paths) > 1 else ''}"
    ways = {"nbval": NBVAL, "bare": [sys.executable, "-m", "benchmarks.bare", *paths]}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="firedrill-bench-") as own:
        environment = (
            os.environ
            | ENVIRONMENT
            | {"FIREDRILL_SERVERS": "embedded", "FIREDRILL_PROGRESS": os.devnull, "IPYTHONDIR": own}
        )
        for number in range(ROUNDS + 1):
            print(
                f"notebooks: round {number} of {ROUNDS}"
                if number
                else "notebooks: a round that does not count",
                flush=True,
            )
            for name in sorted(ways, reverse=bool(number % 2)):
                start = time.perf_counter()
                try:
                    run(ways[name], environment)
                except RuntimeError as error:
                    return [Row(what, not_measured(error), target=f"≤ {TARGET}x")]
                if number:
                    seconds[name].append(time.perf_counter() - start)
    ratio = median(seconds["nbval"]) / median(seconds["bare"])
    worst = max(nbval / bare for nbval, bare in zip(seconds["nbval"], seconds["bare"], strict=True))
    return [
        Row(
            what,
            in_seconds(seconds["nbval"]),
            "nbclient, nothing compared",
            in_seconds(seconds["bare"]),
            f"{ratio:.2f}x ({worst:.2f}x)",
            f"≤ {TARGET}x",
            ratio <= TARGET,
        )
    ]
