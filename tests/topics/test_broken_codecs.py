"""A codec runs inside asyncpg. A check reports one that raises or gives nonsense, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firedrill import drills

from .bulk_loading import wrong_fixes as bulk_loading
from .json_and_codecs import wrong_fixes as json_and_codecs
from .proofs import checked

BROKEN = [
    pytest.param(exercise, *one, id=f"{exercise} {one[1].__name__}")
    for exercise, module in (
        ("05_json_and_codecs", json_and_codecs),
        ("07_bulk_loading", bulk_loading),
    )
    for one in module.BROKEN
]


@pytest.mark.parametrize(("exercise", "number", "code"), BROKEN)
def test_a_broken_codec_is_reported(exercise: str, number: int, code: Callable[..., Any]) -> None:
    report = checked(drills.open(exercise)[number], code)
    assert report.status == "failed", report
    assert "the check came to its end" not in repr(report)
    assert all(seen for _, _, seen in report.criteria)
