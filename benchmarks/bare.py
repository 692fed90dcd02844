"""`python -m benchmarks.bare notebooks/01_connecting.ipynb …`: execute notebooks one after the
other, and no more."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

for name in sys.argv[1:]:
    notebook = nbformat.read(name, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook,
        timeout=60,
        kernel_name="python3",
        resources={"metadata": {"path": str(Path(name).parent)}},
    ).execute()
