"""For all tests: a learner's progress stays untouched, also that of the notebooks under test."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FIREDRILL_PROGRESS", str(tmp_path / "progress.txt"))
