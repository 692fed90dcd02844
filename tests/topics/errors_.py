"""Each entry of the error index is fed the text of its error, raised live, in the ways in which users paste it."""

from __future__ import annotations

import asyncio
import importlib
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from firedrill import index, servers
from firedrill.expect import describe

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def raised() -> dict[str, BaseException]:
    found: dict[str, BaseException] = {}
    for lesson in sorted({entry.lesson for entry in index.entries()}):
        module = importlib.import_module(f"tests.raising.{lesson.partition('_')[2]}")
        with servers.open() as stack:
            found |= asyncio.run(module.raise_all(stack))
    return found


PASTES: dict[str, Callable[[BaseException], str]] = {
    "the line that expect prints": describe,
    "the last line of a traceback": lambda error: traceback.format_exception_only(error)[-1] if str(error) == "" else
    "".join(traceback.format_exception_only(error)),
    "a whole traceback": lambda error: "".join(traceback.format_exception(error)),
    "a log line": lambda error: "2026-11-22 09:00:01,123 ERROR shop.db " + "".join(traceback.format_exception(error)).strip(),
    "other names and numbers": lambda error: re.sub(r"\b\d{5}\b", "5432", describe(error)).replace("encore", "billing-prod"),
}
# This line is all the same whatever ran out of time: every entry is listed, and only a traceback tells which it was.
NO_TEXT = r"TimeoutError(: \(no text\))?\n?"


@pytest.mark.parametrize("paste", PASTES)
@pytest.mark.parametrize("entry", index.entries(), ids=lambda entry: entry.id)
def test_an_error_raised_live_is_found(entry: index.Entry, paste: str, raised: dict[str, BaseException]) -> None:
    assert entry.id in raised, f"no error is raised live for the entry {entry.id!r}: add it to tests/raising"
    text = PASTES[paste](raised[entry.id])
    found = index.find(text)
    assert found, f"the index does not know:\n{text}"
    alike = {one.id for one in found} if re.fullmatch(NO_TEXT, text) else {found[0].id}
    assert entry.id in alike, text


def test_the_class_and_sqlstate_of_an_entry_are_those_raised(raised: dict[str, BaseException]) -> None:
    for entry in index.entries():
        error = raised[entry.id]
        assert describe(error).partition(":")[0].partition(" ")[0] in entry.classes, entry.id
        assert (getattr(error, "sqlstate", None) or "") == entry.sqlstate, entry.id


@pytest.mark.parametrize("entry", index.entries(), ids=lambda entry: entry.id)
def test_its_section_exists(entry: index.Entry) -> None:
    lesson = ROOT / f"notebooks/{entry.lesson}.ipynb"
    assert f'"## {entry.section}\\n"' in lesson.read_text(encoding="utf-8"), f"{lesson.name} has no heading {entry.section!r}"
    assert all((entry.means, entry.fix, entry.trap))


def test_an_unknown_text_finds_nothing() -> None:
    assert index.find("KeyError: 'seat'") == []
    assert index.find("") == []


def test_a_class_or_a_sqlstate_alone_finds_its_entries() -> None:
    assert [entry.id for entry in index.find("CannotConnectNowError")] == ["cannot connect now"]
    assert [entry.id for entry in index.find("28P01")] == ["wrong password"]
