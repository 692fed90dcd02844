"""What notebooks/differences.toml expects on other versions can come, and says why.

That nbval compares with it is shown in tests/test_guards.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import lessons_by_version
from firedrill.authoring import differences
from firedrill.authoring.differences import Pair

ROOT = Path(__file__).parents[2]
KNOWN = differences.Differences(ROOT)


@pytest.mark.parametrize("entry", KNOWN.entries, ids=str)
def test_each_says_why_and_holds_where_make_versions_looks(entry: differences.Difference) -> None:
    assert len(entry.reason) > 30
    assert entry.pairs or entry.pythons
    runs = [run for run in lessons_by_version.RUNS if run.name != lessons_by_version.DEFAULT]
    assert set(entry.pairs) <= {run.pair for run in runs} - {lessons_by_version.DEFAULT}
    assert set(entry.pythons) <= {run.python for run in runs}


def test_no_two_hold_for_one_cell() -> None:
    for run in lessons_by_version.RUNS:
        pair = Pair(*run.pair.split("/"))
        for notebook in {entry.notebook for entry in KNOWN.entries}:
            KNOWN.apply(notebook, [], pair)


def test_the_pair_at_hand_is_the_one_that_a_notebook_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIREDRILL_SERVERS", "embedded")
    found = differences.pair_here()
    assert found.short == differences.STORED_ON
    assert str(found) == "17/1.24"


@pytest.mark.parametrize(
    ("pair", "python", "holds"),
    [
        (Pair("18.6", "1.26.1"), "3.11", True),
        (Pair("18.6", "1.24.1"), "3.11", False),
        (Pair("1.8", "1.26.1"), "3.11", False),
        (Pair("19rc1", "1.26.1"), "3.11", True),
        (Pair("18.6", "1.26.1"), "3.14", False),
    ],
)
def test_an_entry_holds_for_its_pairs_and_its_pythons(pair: Pair, python: str, holds: bool) -> None:
    entry = differences.Difference("n", "c", ("18/1.26", "19/1.26"), ("3.11",), "", {})
    assert entry.holds(pair, python) is holds
    assert entry._replace(pythons=()).holds(pair, "3.14") is (holds or python == "3.14")
