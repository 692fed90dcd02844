"""The box on the site answers what `firedrill explain` does: entries, order, certainty, evidence.

The texts of live errors are compared as well, in tests/topics/proofs.py, where they are raised.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator

import pytest

from firedrill import course
from firedrill.errors import source

from ..errors.pastes import PASTES
from . import engine

pytestmark = pytest.mark.skipif(engine.NODE is None, reason="there is no node")
ENTRIES = source.all_entries()
PUBLIC = course.REPOSITORY / "tests/errors/public_texts.toml"


@pytest.fixture(scope="module")
def in_javascript() -> Iterator[engine.Answers]:
    with engine.started() as answers:
        yield answers


def compare(in_javascript: engine.Answers, texts: list[str]) -> None:
    answers = in_javascript(texts)
    assert len(answers) == len(texts)
    for text, answer in zip(texts, answers, strict=True):
        assert answer == engine.of_python(text), text


def test_titles_examples_and_words(in_javascript: engine.Answers) -> None:
    texts = [text for one in ENTRIES for text in (one.title, *one.examples, *one.words)]
    compare(in_javascript, [*texts, *(text.upper() for text in texts)])


def test_public_texts(in_javascript: engine.Answers) -> None:
    cases = tomllib.loads(PUBLIC.read_text(encoding="utf-8"))["text"]
    compare(in_javascript, [case["text"] for case in cases])


def test_classes_and_sqlstates(in_javascript: engine.Answers) -> None:
    names = {name for one in ENTRIES for name in (*one.classes, one.sqlstate)}
    compare(in_javascript, sorted({*names, "57P03:", "KeyError: 'x'", "SQLSTATE 40XYZ", "22ABC"}))


def test_each_example_pasted_in_each_way(in_javascript: engine.Answers) -> None:
    texts = []
    for one in ENTRIES:
        for example in one.examples[:1] or (one.title,):
            try:
                raise OSError(example)
            except OSError as error:
                texts += [paste(error) for paste in PASTES.values()]
    compare(in_javascript, texts)


def test_whole_lessons(in_javascript: engine.Answers) -> None:
    """Long texts with much in them that is no error: each output, each cell."""
    texts = []
    for path in sorted((course.REPOSITORY / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            texts.append("".join(cell["source"]))
            texts += ["".join(one["text"]) for one in cell.get("outputs", []) if "text" in one]
    compare(in_javascript, texts)


@pytest.mark.parametrize(
    "pasted",
    [
        *("", " \n\t ", "\x1b[0m", "\ufeff", "\x00", "\x85\x1c", "ﬁ", "\ud800"[:0]),
        "今日はいい天気です" * 9_000,
        "𝔸" * 39 + "\n" + "𝔸" * 40 + "\n" + "🎟" * 40 + "\nTimeoutError",
        "é" * 50_000 + "asyncpg.exceptions.DataError: invalid input for query argument $1: 𝟙 (x)",
        "🎟" * 61_000 + "57P03" + "🎟" * 20_000,
        "x" * 61_000 + "\nError: TimeoutError\n" + "\U00010400" * 40_000,
        "2026-11-22 09:00:01 INFO sold seat A1 to 4711\n" * 20_000 + "TimeoutError",
        "ÉRROR: DÉADLOCK DETECTED", "DEADLOCK DETECTED", "\u2028deadlock\u3000detected\x85",
        "x́TimeoutError", "constructor", "__proto__: KeyError", "toString",
    ],
    ids=lambda text: ascii(text[:20]),
)  # fmt: skip
def test_what_is_counted_and_spelt_otherwise_in_javascript(
    in_javascript: engine.Answers, pasted: str
) -> None:
    compare(in_javascript, [pasted])
