"""Proofs of the topic `json_and_codecs`: its drill and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firedrill import drills

from ..proofs import DrillProofs, ErrorProofs, checked
from .wrong_fixes import BROKEN


class TestDrill(DrillProofs):
    slug = "json_and_codecs"


class TestErrors(ErrorProofs):
    slug = "json_and_codecs"


@pytest.mark.parametrize(("number", "code"), BROKEN, ids=[code.__name__ for _, code in BROKEN])
def test_a_broken_codec_is_reported(number: int, code: Callable[..., Any]) -> None:
    """It runs inside asyncpg: one that raises, or gives anything, stops nothing."""
    report = checked(drills.open("json_and_codecs")[number], code)
    assert report.status == "failed", report
    assert "the check came to its end" not in repr(report)
    assert all(seen for _, _, seen in report.criteria)
