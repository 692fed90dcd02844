"""The guard rails round nbval hold: each is shown a notebook that must not pass."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from firedrill import notebooks

ROOT = Path(__file__).parents[1]


def code(source: str, output: str = "", count: int | None = 1, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    return {"cell_type": "code", "id": f"cell-{count}", "metadata": {"tags": list(tags)}, "source": source,
            "outputs": outputs, "execution_count": count}


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A repository like ours, with notebooks of the test's own."""
    for folder in ("notebooks", "exercises"):
        (tmp_path / folder).mkdir()
    for file in ("conftest.py", "notebooks/sanitize.cfg", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def check(course: Path, *cells: dict[str, Any], where: str = "notebooks", cwd: str = ".") -> subprocess.CompletedProcess[str]:
    notebook = {"cells": list(cells), "metadata": notebooks.METADATA, "nbformat": 4, "nbformat_minor": 5}
    path = course / where / "lesson.ipynb"
    path.write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "pytest", "-q", "--nbval", str(path), "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=course / cwd, capture_output=True, text=True, timeout=120)


def test_an_output_that_differs_fails_and_one_that_is_the_same_passes(course: Path) -> None:
    assert check(course, code("print(1)", "1\n")).returncode == 0
    done = check(course, code("print(2)", "1\n"))
    assert done.returncode == 1
    assert "mismatch 'stdout'" in done.stdout


def test_a_cell_that_was_never_run_fails_in_a_lesson_and_not_in_an_exercise(course: Path) -> None:
    done = check(course, code("print(1)", count=None))
    assert done.returncode == 1
    assert "no execution count" in done.stdout
    assert check(course, code("print(1)", count=None), where="exercises").returncode == 0
    assert check(course, code("1/0", count=None), where="exercises").returncode == 1


def test_the_first_failure_of_a_notebook_skips_its_rest(course: Path) -> None:
    done = check(course, code("x = 1/0"), code("print(x)", "1\n", 2), code("print(x)", "1\n", 3))
    assert "1 failed, 2 skipped" in done.stdout
    assert "Cell 0 failed before" in done.stdout


def test_an_expected_error_that_does_not_come_fails(course: Path) -> None:
    cell = code("1/1", tags=("raises-exception",)) | {"outputs": [
        {"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero", "traceback": []}]}
    assert check(course, cell).returncode == 1
    assert check(course, cell | {"source": "1/0"}).returncode == 0
    assert check(course, cell | {"source": "int('x')"}).returncode == 1


def test_rules_are_found_from_any_folder_and_match_no_more_than_they_must(course: Path) -> None:
    port = "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', {})"
    cell = code(f'print("{port.format(23456)}")', port.format("<port>") + "\n")
    assert check(course, cell, cwd="exercises").returncode == 0
    assert check(course, code(f'print("{port.format(1)}")', port.format(2) + "\n")).returncode == 1
    assert check(course, code('print("took 12345 ms")', "took 12346 ms\n")).returncode == 1


def test_every_rule_says_why_it_is_there() -> None:
    blocks = notebooks.SANITIZE.read_text(encoding="utf-8").split("\n\n")[1:]
    assert len(blocks) == len(notebooks.rules())
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[-2].startswith("regex: ")
        assert lines[-1].startswith("replace: ")
        assert len(" ".join(lines[:-2])) > 30, f"no reason beside {lines[-2]}"


def test_a_cell_that_hangs_is_ended(course: Path) -> None:
    conftest = course / "conftest.py"
    conftest.write_text(conftest.read_text().replace("CELL_TIMEOUT = 60", "CELL_TIMEOUT = 2"))
    done = check(course, code("import time; time.sleep(600)"))
    assert done.returncode == 1
    assert "timeout" in done.stdout.lower()
