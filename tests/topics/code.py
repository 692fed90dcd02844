"""The wrong fixes that tempt, one module for each drill. `TRAPS` has, for a task and a trap, code that falls into it."""

from __future__ import annotations

import tempfile
from pathlib import Path

FOLDER = tempfile.TemporaryDirectory(prefix="firedrill-tests-")


def written(source: str, name: str = "app") -> Path:
    """The file of a task whose code is one, as its cell writes it, in a folder of its own."""
    file = Path(tempfile.mkdtemp(dir=FOLDER.name), f"{name}.py")
    file.write_text(source, encoding="utf-8")
    return file
