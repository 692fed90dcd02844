"""Each proof is run for each task, wrong fix and error of the topic whose class it is in."""

from __future__ import annotations

import pytest

from firedrill import drills, errors

from . import proofs

CASES = {
    "test_the_solution_passes": proofs.solutions,
    "test_a_wrong_fix_falls_into_its_own_trap": proofs.trapped,
    "test_other_answers_are_told_right_from_wrong": proofs.others,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    slug = getattr(metafunc.cls, "slug", "")
    if not slug:
        return
    if "entry" in metafunc.fixturenames:
        entries = [entry for entry in errors.of_topic(slug) if entry.raised_here]
        metafunc.parametrize("entry", entries, ids=[entry.id for entry in entries])
        return
    if "case" in metafunc.fixturenames:
        name = metafunc.function.__name__
        if name in CASES:  # others have their cases where they are written
            metafunc.parametrize(
                "case",
                [
                    pytest.param(case, id=id_, marks=pytest.mark.answers if case.is_more else ())
                    for id_, case in CASES[name](slug).items()
                ],
            )
    else:
        tasks = drills.open(slug).tasks
        metafunc.parametrize("task", tasks, ids=[str(task.number) for task in tasks])
