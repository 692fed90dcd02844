"""A codec runs inside of asyncpg. One that raises, or gives anything, is reported by its check and stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from firedrill import drills

from .attempts import json_and_codecs


@pytest.mark.parametrize(("number", "code"), json_and_codecs.BROKEN, ids=[code.__name__ for _, code in json_and_codecs.BROKEN])
def test_a_broken_codec_is_reported(number: int, code: Callable[..., Any]) -> None:
    report = asyncio.run(drills.open("05_json_and_codecs")[number].check(code))
    assert report.status == "failed", report
    assert "the check came to its end" not in repr(report)
    assert all(seen for _, _, seen in report.criteria)
