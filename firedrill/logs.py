"""For a service's log: a handler that adds what the error index knows, once for each kind of error.

logging.getLogger().addHandler(logs.Explain())
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from . import errors, explain

KINDS = 1_000  # that are remembered; a service that has more says the first ones again


class Explain(logging.StreamHandler[TextIO]):
    """Writes to `stream` (standard error) below a record, the first time that its error is seen.

    An answer consists of the index's words only: nothing of the record is written again.
    """

    def __init__(self, stream: TextIO | None = None, level: int = logging.WARNING) -> None:
        super().__init__(stream or sys.stderr)
        self.setLevel(level)
        self._looked_up: set[object] = set()
        self._told: set[str] = set()

    def format(self, record: logging.LogRecord) -> str:
        """The answer; empty where there is none, or where it was given before."""
        kind = (
            record.name,
            record.msg,
            record.exc_info and record.exc_info[0],
            record.exc_info and str(record.exc_info[1])[:200],
        )
        if kind in self._looked_up:
            return ""
        if len(self._looked_up) >= KINDS:
            self._looked_up.clear()
            self._told.clear()
        self._looked_up.add(kind)
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        answer = errors.answer(text)
        if not answer.found or answer.hedged or answer.found[0].entry.id in self._told:
            return ""
        self._told.add(answer.found[0].entry.id)
        return explain.as_text(answer)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if text:
                self.stream.write(text + self.terminator)
                self.flush()
        except Exception:
            self.handleError(record)
