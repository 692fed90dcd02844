"""What a check found, as text for a terminal."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Literal

from .examination import Criterion

WIDTH = 100
Status = Literal["not attempted", "interrupted", "could not judge", "failed", "passed"]


@dataclass(frozen=True)
class Report:
    """What a check found. `reason` says why it could not judge."""

    number: int
    title: str
    status: Status
    criteria: tuple[Criterion, ...] = ()
    traps: tuple[str, ...] = ()  # their names
    trap_texts: tuple[str, ...] = ()
    reason: str = ""

    def __repr__(self) -> str:
        lines = [f"Task {self.number}, {self.title}: {self.status}"]
        if self.status == "not attempted":
            advice = "Change the starter code above, run its cell, then run this one again."
            return "\n".join([*lines, f"  –  {advice}"])
        if self.status == "could not judge":
            return "\n".join([*lines, *wrapped(self.reason, "  ")])
        for what, met, measured in self.criteria:
            lines += wrapped(f"{'✔' if met else '✘'}  {what} — {measured}", "     ")
        for text in self.trap_texts:
            lines += wrapped(f"Trap. {text}", "     ")
        if self.status == "failed":
            lines.append(f"  A hint: drill[{self.number}].hint()")
        return "\n".join(lines)


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
