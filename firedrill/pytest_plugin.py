"""For pytest: `--firedrill` adds what the error index knows below the error of a failed test."""

from __future__ import annotations

import traceback
from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("firedrill").addoption(
        "--firedrill",
        action="store_true",
        help="below the error of a failed test: what `firedrill explain` says, if it is known",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo and item.config.getoption("--firedrill"):
        from . import errors, explain

        answer = errors.answer("".join(traceback.format_exception(call.excinfo.value)))
        if answer.found and not answer.hedged:
            report.sections.append(("firedrill explain", explain.as_text(answer)))
    return report
