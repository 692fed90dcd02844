"""The wrong fixes that tempt, one module for each drill. `TRAPS` has, for a task and a trap, code that falls into it."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def written(source: str) -> Path:
    """The file of a task whose code is one, as its cell writes it."""
    file = Path(tempfile.mkdtemp(prefix="firedrill-")) / "app.py"
    atexit.register(shutil.rmtree, file.parent, ignore_errors=True)
    file.write_text(source, encoding="utf-8")
    return file
