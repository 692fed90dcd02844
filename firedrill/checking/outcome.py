"""What came of one call of a learner's code, and the one way to say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..expect import describe

PLAIN = (bool, int, float, str, bytes, type(None))


@dataclass(frozen=True)
class Outcome:
    """A value, or an error, or neither, because the call was still running after its limit."""

    value: Any = None
    error: BaseException | None = None
    hung: bool = False
    seconds: float = 0.0  # that it took
    limit: float = 0.0  # seconds after which it was stopped

    @property
    def returned(self) -> bool:
        return self.error is None and not self.hung

    def __str__(self) -> str:
        if self.hung:
            return f"still running after {self.limit:g} s, and stopped"
        if self.error:
            told = isinstance(self.error, Elsewhere)
            text = str(self.error) if told else describe(self.error)
            return text.splitlines()[0][:200]
        return f"{shown(self.value)} came back"


class Elsewhere(Exception):
    """Stands for an error of another process: its text is that error's class and text."""


def shown(value: object) -> str:
    """A value in at most 60 characters, the same in each run: without addresses."""
    if isinstance(value, PLAIN):
        return repr(value) if len(repr(value)) <= 60 else repr(value)[:59] + "…"
    if isinstance(value, list | tuple | dict | set) and _is_plain(value):
        text = repr(value)
        return text if len(text) <= 60 else text[:59] + "…"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _is_plain(value: object, depth: int = 0) -> bool:
    if isinstance(value, PLAIN):
        return True
    if depth > 3 or not isinstance(value, list | tuple | dict | set) or len(value) > 50:
        return False
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return all(_is_plain(part, depth + 1) for part in parts)
