"""A row of the table, and how figures are written in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Row:
    what: str
    figure: str = ""  # "0.10 s (0.14 s)": the median, and the worst in brackets
    peer: str = ""
    peer_figure: str = ""
    ratio: str = ""
    target: str = ""
    reached: bool | None = None  # None: there is no target, or nothing was measured

    def __str__(self) -> str:
        mark = {True: "✓", False: "✗", None: ""}[self.reached]
        return (
            "| "
            + " | ".join(
                (self.what, self.figure, self.peer, self.peer_figure, self.ratio, self.target, mark)
            )
            + " |"
        )


def in_seconds(values: Sequence[float]) -> str:
    digits = 3 if median(values) < 1 else 1
    return f"{median(values):.{digits}f} s ({max(values):.{digits}f} s)"


def not_measured(error: BaseException) -> str:
    """The reason in one line, without the paths of this machine."""
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    for path, name in (
        (REPOSITORY, "."),
        (os.environ.get("FIREDRILL_CACHE"), "the cache"),
        (Path.home(), "~"),
        (tempfile.gettempdir(), "the folder for temporary files"),
    ):
        line = line.replace(str(path), name)
    return f"not measured: {line[:200].rstrip('. :')}".replace("|", "/")
