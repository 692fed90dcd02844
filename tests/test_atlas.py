"""VERSIONS.md is made from the last run, and its rows still give what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firedrill import atlas
from firedrill.atlas import page, rows
from firedrill.atlas.__main__ import main

ROOT = Path(__file__).parents[1]

assert rows


def test_the_page_is_what_the_last_run_measured() -> None:
    assert page.PAGE.read_text() == page.text(atlas.measured())


def test_every_row_was_measured_on_every_version_of_its_side() -> None:
    measured = atlas.measured()["rows"]
    assert measured.keys() == atlas.ROWS.keys()
    assert len(measured) >= 60
    for name, one in measured.items():
        row = atlas.ROWS[name]
        assert (one["title"], one["axis"], one["lesson"]) == (row.title, row.axis, row.lesson)
        assert list(one["answers"]) == list(atlas.AXES[row.axis])
        assert not any(answer.startswith("not measured") for answer in one["answers"].values())


def test_every_row_names_a_lesson() -> None:
    lessons = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {row.lesson for row in atlas.ROWS.values()} <= lessons


def test_a_doctor_is_told_only_rows_that_differ_and_only_of_these_versions() -> None:
    default = {row["title"]: answer for row, answer in atlas.holding("17.12", "1.24.1", "0.32.0")}
    newer = {row["title"]: answer for row, answer in atlas.holding("18.6", "1.26.1", "0.32.0")}
    title = atlas.ROWS["set-search-path"].title
    assert default[title] == "itself no, the other yes"
    assert newer[title] == "itself yes, the other no"
    assert atlas.ROWS["two-tasks"].title not in default, "it is alike on all versions"
    without = [row["axis"] for row, _ in atlas.holding("18.6", "", "0.32.0")]
    assert "PgBouncer" not in without
    assert "PostgreSQL" in without


@pytest.mark.downloads
def test_a_row_gives_today_what_the_page_says() -> None:
    """One of each side; `make atlas` runs them all."""
    for postgres, pgbouncer, column, name in (
        ("18", "1.24", "18", "actual-rows"),
        ("18", "1.26", "1.26, PostgreSQL 18", "set-search-path"),
        ("17", "1.24", "1.24, PostgreSQL 17", "set-search-path"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "firedrill.atlas.measure", postgres, pgbouncer, name],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        assert [line[0] for line in lines] == ["versions", name], done.stderr
        assert lines[1][1] == atlas.measured()["rows"][name]["answers"][column]


def test_a_row_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nonsense"]) == 1
    assert "No such row: nonsense. There are: " in capsys.readouterr().out
