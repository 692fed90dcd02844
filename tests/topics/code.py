"""Code of tasks as files, as the cells of a notebook write them."""

from __future__ import annotations

import tempfile
from pathlib import Path

FOLDER = tempfile.TemporaryDirectory(prefix="firedrill-tests-")


def written(source: str, name: str = "app") -> Path:
    """The file of a task whose code is one, as its cell writes it, in its own folder."""
    file = Path(tempfile.mkdtemp(dir=FOLDER.name), f"{name}.py")
    file.write_text(source, encoding="utf-8")
    return file
