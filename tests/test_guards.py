"""The guard rails around nbval hold: each is shown a notebook that must not pass.

One run of pytest has them all.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from firedrill.authoring import differences, notebooks
from firedrill.checking.exercise_files import METADATA

ROOT = Path(__file__).parents[1]


def code(
    source: str, output: str = "", count: int | None = 1, tags: tuple[str, ...] = ()
) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    return {
        "cell_type": "code",
        "id": f"cell-{count}",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": outputs,
        "execution_count": count,
    }


def error(source: str) -> dict[str, Any]:
    """A cell in which a division by zero is expected."""
    output = {
        "output_type": "error",
        "ename": "ZeroDivisionError",
        "evalue": "division by zero",
        "traceback": [],
    }
    return code(source, tags=("raises-exception",)) | {"outputs": [output]}


REFUSED = "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', {})"
VALUE = {
    "output_type": "execute_result",
    "data": {"text/plain": "1"},
    "metadata": {},
    "execution_count": 2,
}
TRANSPORT = """import json, ipykernel
print(json.loads(ipykernel.get_connection_info())["transport"])"""
NOTEBOOKS = {
    "notebooks/passes.ipynb": [
        code("print(1)", "1\n"),
        error("1/0"),
        code(f'print("{REFUSED.format(23456)}")', REFUSED.format("<port>") + "\n"),
    ],
    "notebooks/differs.ipynb": [code("print(2)", "1\n")],
    "notebooks/never_run.ipynb": [code("print(1)", count=None)],
    "notebooks/fails_first.ipynb": [
        code("x = 1/0"),
        code("print(x)", "1\n", 2),
        code("print(x)", "1\n", 3),
    ],
    "notebooks/no_error.ipynb": [error("1/1")],
    "notebooks/other_error.ipynb": [error("int('x')")],
    "notebooks/other_port.ipynb": [code(f'print("{REFUSED.format(1)}")', REFUSED.format(2) + "\n")],
    "notebooks/other_time.ipynb": [code('print("took 12345 ms")', "took 12346 ms\n")],
    "notebooks/hangs.ipynb": [code("import time; time.sleep(600)")],
    "notebooks/sockets.ipynb": [code(TRANSPORT, "ipc\n")],
    "exercises/never_run.ipynb": [code("print(1)", count=None)],
    "exercises/fails.ipynb": [code("1/0", count=None)],
    "notebooks/testing/test_of_a_reader.py": [],
    # These four have an entry in DIFFERENCES.
    "notebooks/as_expected.ipynb": [
        code("print(2)", "1\n"),
        code("2", count=2) | {"outputs": [VALUE]},
    ],
    "notebooks/stale.ipynb": [code("print(1)", "1\n")],
    "notebooks/neither.ipynb": [code("print(3)", "1\n")],
    "notebooks/of_other_pair.ipynb": [code("print(2)", "1\n")],
}
HERE = f'pythons = ["{differences.PYTHON}"]'


def expects(
    notebook: str, where: str, cell: int = 1, output: str = "stdout", text: str = "2\\n"
) -> str:
    return f"""
[[difference]]
notebook = "notebooks/{notebook}.ipynb"
cell = "cell-{cell}"
{where}
reason = "a test"
"{output}" = "{text}"
"""


DIFFERENCES = "".join(
    [
        expects("as_expected", HERE),
        expects("as_expected", HERE, 2, "text/plain", "2"),
        expects("stale", HERE),
        expects("neither", HERE),
        expects("of_other_pair", 'pairs = ["99/1.24"]'),
    ]
)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository like ours."""
    course = tmp_path_factory.mktemp("course")
    for file in ("conftest.py", "notebooks/sanitize.cfg", differences.FILE, "pyproject.toml"):
        (course / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, course / file)
    conftest = course / "conftest.py"
    conftest.write_text(conftest.read_text().replace("CELL_TIMEOUT = 60", "CELL_TIMEOUT = 5"))
    only_the_name = (ROOT / differences.FILE).read_text().partition("[[difference]]")[0]
    (course / differences.FILE).write_text(only_the_name + DIFFERENCES)
    for name, cells in NOTEBOOKS.items():
        path = course / name
        path.parent.mkdir(exist_ok=True)
        notebook = {
            "cells": cells,
            "metadata": METADATA,
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path.write_text(json.dumps(notebook) if cells else "def test():\n    assert False\n")
    return course


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--nbval", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        text=True,
        capture_output=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def results(course: Path) -> dict[str, list[str]]:
    """For each notebook what pytest says of each cell: "" if it passes.

    It is started from another folder.
    """
    pytest_in(course / "exercises", "..", "--junitxml=results.xml")
    found: dict[str, list[str]] = {}
    for case in ElementTree.parse(course / "exercises" / "results.xml").iter("testcase"):
        name = case.get("classname", "").replace(".", "/")
        found.setdefault(name, []).append(
            "".join(f"{part.tag} {part.get('message')}" for part in case)
        )
    return found


def test_an_output_that_is_the_same_passes_and_one_that_differs_fails(
    results: dict[str, list[str]],
) -> None:
    assert results["notebooks/passes/ipynb"] == ["", "", ""]
    [differs] = results["notebooks/differs/ipynb"]
    assert differs.startswith("failure")
    assert "mismatch 'stdout'" in differs


def test_a_cell_that_was_never_run_fails_in_a_lesson_and_not_in_an_exercise(
    results: dict[str, list[str]],
) -> None:
    [never_run] = results["notebooks/never_run/ipynb"]
    assert "no execution count" in never_run
    assert results["exercises/never_run/ipynb"] == [""]
    assert "Cell execution caused an exception" in results["exercises/fails/ipynb"][0]


def test_the_first_failure_of_a_notebook_skips_its_rest(results: dict[str, list[str]]) -> None:
    first, *rest = results["notebooks/fails_first/ipynb"]
    assert "Cell execution caused an exception" in first
    assert rest == ["skipped Cell 0 failed before, and this cell builds on it"] * 2


def test_an_expected_error_that_does_not_come_fails(results: dict[str, list[str]]) -> None:
    assert "Missing output" in results["notebooks/no_error/ipynb"][0]
    assert "mismatch 'ename'" in results["notebooks/other_error/ipynb"][0]


def test_rules_match_no_more_than_they_must(results: dict[str, list[str]]) -> None:
    assert "mismatch" in results["notebooks/other_port/ipynb"][0]
    assert "mismatch" in results["notebooks/other_time/ipynb"][0]


def test_a_cell_that_hangs_is_ended(results: dict[str, list[str]]) -> None:
    assert "Timeout of 5 seconds" in results["notebooks/hangs/ipynb"][0]


def test_no_other_process_can_take_the_ports_of_a_kernel_before_it_has_started(
    results: dict[str, list[str]],
) -> None:
    assert results["notebooks/sockets/ipynb"] == [""]


def test_the_files_that_cells_write_are_no_checks_of_ours(results: dict[str, list[str]]) -> None:
    assert sorted(results) == sorted(
        name.replace(".", "/") for name in NOTEBOOKS if name.endswith(".ipynb")
    )


def test_a_difference_of_this_pair_is_compared_as_strictly_as_what_is_stored(
    results: dict[str, list[str]],
) -> None:
    assert results["notebooks/as_expected/ipynb"] == ["", ""]
    for notebook in ("stale", "neither", "of_other_pair"):
        [said] = results[f"notebooks/{notebook}/ipynb"]
        assert "mismatch 'stdout'" in said, notebook


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (expects("gone", HERE), r"gone.ipynb, cell cell-1 \(3.*\): there is no such cell"),
        (expects("differs", HERE, cell=9), "cell cell-9 .*: there is no such cell"),
        (expects("differs", HERE, text="1\\n"), "its stdout is the stored one"),
        (expects("differs", HERE, output="text/plain"), "the cell has no stored text/plain"),
        (expects("differs", HERE, output="text"), "unexpected keyword argument 'text'"),
        (expects("differs", HERE) * 2, "both hold on 17/1.24"),
    ],
)
def test_a_difference_that_nothing_can_use_is_refused(course: Path, entry: str, said: str) -> None:
    with added(course, entry), pytest.raises((ValueError, TypeError), match=said):
        differences.Differences(course).apply(
            "notebooks/differs.ipynb", [], differences.Pair("17.12", "1.24.1")
        )


def test_a_refused_difference_ends_the_run_before_its_first_cell(course: Path) -> None:
    with added(course, expects("gone", HERE)):
        done = pytest_in(course, "notebooks/passes.ipynb")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "there is no such cell" in done.stderr


@contextlib.contextmanager
def added(course: Path, entry: str) -> Iterator[None]:
    file = course / differences.FILE
    before = file.read_text()
    file.write_text(before + entry)
    try:
        yield
    finally:
        file.write_text(before)


def test_every_rule_says_why_it_is_there() -> None:
    blocks = notebooks.SANITIZE.read_text(encoding="utf-8").split("\n\n")[1:]
    assert len(blocks) == len(notebooks.rules())
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[-2].startswith("regex: ")
        assert lines[-1].startswith("replace: ")
        assert len(" ".join(lines[:-2])) > 30, f"no reason next to {lines[-2]}"
