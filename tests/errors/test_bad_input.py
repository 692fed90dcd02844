"""Whatever is pasted: an answer soon, no secret in it, and no guess at what is no error."""

from __future__ import annotations

import random
import re
import time

import pytest

from firedrill import errors, explain
from firedrill.errors import index, noise

SOON = 2.0  # seconds, on a busy machine; usual are 0.05
ERROR = 'asyncpg.exceptions.PostgresSyntaxError: syntax error at or near "\'"'


def within(pasted: str | bytes) -> errors.Answer:
    began = time.process_time()
    answer = errors.answer(pasted)
    assert time.process_time() - began < SOON
    return answer


@pytest.mark.parametrize("pasted", ["", " \n\t ", "\x1b[0m", b"", "\ufeff", "\x00"])
def test_nothing_is_not_known(pasted: str | bytes) -> None:
    assert within(pasted).found == []


def test_an_error_at_the_end_of_megabytes_is_found() -> None:
    log = "2026-11-22 09:00:01 INFO sold seat A1 to 4711\n" * 200_000
    assert within(log + ERROR).found[0].entry.id == "syntax error"
    assert within(ERROR + "\n" + log).found[0].entry.id == "syntax error"


def test_an_error_in_the_middle_of_megabytes_is_found() -> None:
    log = "2026-11-22 09:00:01 INFO sold seat A1 to 4711\n" * 100_000
    assert within(log + ERROR + "\n" + log).found[0].entry.id == "syntax error"


def test_binary_is_no_error() -> None:
    noise_bytes = random.Random(1).randbytes(300_000)
    assert within(noise_bytes).found == []
    assert within(noise_bytes + f"\n{ERROR}\n".encode()).found[0].entry.id == "syntax error"
    assert within(ERROR.encode("utf-16")).found[0].entry.id == "syntax error"


@pytest.mark.parametrize(
    "pasted",
    [
        "panic: runtime error: index out of range [3]\n\ngoroutine 1 [running]:\n\t/app/main.go:9",
        'Exception in thread "main" java.lang.NullPointerException\n\tat shop.Main(Main.java:5)',
        "TypeError: Cannot read properties of undefined (reading 'map')\n    at App (App.jsx:12:5)",
        "thread 'main' panicked at src/main.rs:4:5:\ncalled `Option::unwrap()` on a `None` value",
        "System.NullReferenceException: Object reference not set to an instance of an object.",
        "undefined method `name' for nil:NilClass (NoMethodError)",
        "Ошибка: не найдено",
        "今日はいい天気です",
    ],
)
def test_other_languages_are_not_guessed_at(pasted: str) -> None:
    answer = within(pasted)
    assert not answer.found or answer.hedged


def test_passwords_are_masked() -> None:
    text = (
        "postgresql://app:s3cr%t@db.example:5432/shop password='s3cr%t' PGPASSWORD=s3cr%t "
        '{"password": "s3cr%t"} token: s3cr%t'
    )
    assert "s3cr%t" not in errors.masked(text)
    assert "db.example:5432/shop" in errors.masked(text)
    assert (
        errors.masked("password authentication failed for user")
        == "password authentication failed for user"
    )


def test_no_answer_repeats_what_was_pasted() -> None:
    answer = errors.answer(
        'asyncpg.InvalidPasswordError: password authentication failed for user "s3cr3t"'
    )
    assert answer.found
    assert "s3cr3t" not in explain.as_text(answer)
    assert "s3cr3t" not in str(explain.as_data(answer))
    unknown = errors.answer("ValueError: postgresql://app:s3cr3t@db.example/shop")
    assert "s3cr3t" not in explain.as_text(unknown)


def _adverse(expression: str, needed: list[str]) -> list[str]:
    """Texts that begin to fit again and again, and never do to the end."""
    words = re.sub(r"\\[dwsSWDb]|\(\?[<!=:]*|[\[\](){}|^$?*+]", " ", expression).replace("\\", "")
    parts = [part for part in re.split(r"\s{2,}|\.", words) if part.strip()]
    start = parts[0] if parts else "x"
    most = 20_000  # enough to see what grows faster than the text
    return [
        (start + " ") * (most // (len(start) + 1)),
        "".join(needed) + (start + ' "a') * (most // (len(start) + 3)),
        " ".join(needed) + " " + '"' * most,
        " ".join(needed) + " " + "a" * most,
        " ".join(needed) + " " + "1 " * (most // 2),
    ]


def test_no_expression_takes_long_on_adverse_text() -> None:
    slowest = (0.0, "")
    for one in index.searched():
        for expression, needed in (*one.find, *one.loose):
            for text in _adverse(expression, needed):
                began = time.process_time()
                re.findall(expression, text, re.IGNORECASE)
                slowest = max(
                    slowest, (time.process_time() - began, f"{one.entry.id}: {expression}")
                )
    assert slowest[0] < 0.15, slowest  # usual are 0.02; a quadratic one took 0.3


@pytest.mark.parametrize(
    "repeated",
    [
        '\n  File "',
        "a.b.c.",
        "Error: ",
        "\\n",
        "[SQL: ",
        "\x1b[",
        "://a:",
        "password=",
        "2026-11-22 ",
        "| ",
        "File x.py:",
        "A" * 60 + ".",
    ],
)
def test_no_part_of_the_engine_takes_long_on_adverse_text(repeated: str) -> None:
    text = repeated * (noise.LARGEST // len(repeated))
    within(text)
    began = time.process_time()
    errors.masked(text)
    assert time.process_time() - began < SOON
