"""Proofs of the topic `bulk_loading`: its drill and its errors, and code that breaks a codec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ..proofs import Case, Code, DrillProofs, ErrorProofs, Verdict
from .wrong_fixes import BROKEN


@dataclass(frozen=True)
class Broken(Case):
    """One of BROKEN."""

    at: int = 0

    @property
    def code(self) -> Code:
        return BROKEN[self.at][1]


CASES = {
    f"{number}-{code.__name__}": Broken("bulk_loading", number, "failed", at=at)
    for at, (number, code) in enumerate(BROKEN)
}


class TestDrill(DrillProofs):
    slug = "bulk_loading"

    @pytest.mark.parametrize("case", CASES.values(), ids=CASES)
    def test_broken_code_is_reported(self, case: Case, verdict: Callable[[Case], Verdict]) -> None:
        """A codec runs inside asyncpg. If it raises or gives anything, its check goes on."""
        report, _ = verdict(case)
        assert report.status == "failed", report
        assert "the check came to its end" not in repr(report)
        assert all(seen for _, _, seen in report.criteria)


class TestErrors(ErrorProofs):
    slug = "bulk_loading"
