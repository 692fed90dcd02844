"""What a check found: text for a terminal, coloured rows for a notebook.

With NO_COLOR in the environment (https://no-color.org) a notebook shows the text, too."""

from __future__ import annotations

import html
import os
import textwrap
from dataclasses import dataclass
from typing import Any, Literal

from ..tables import Table

WIDTH = 100
Status = Literal["not attempted", "interrupted", "could not judge", "failed", "passed"]
Criterion = tuple[str, bool, str]  # what is promised, whether it is kept, what was measured
Figure = tuple[str, str, str]  # what was counted, of the learner's code, and of the model answer

# White on these is readable in both themes (contrast above 4.5), and JupyterLab keeps inline
# colours in a notebook that it does not trust.
GREEN, RED, GREY, AMBER = "#1a7f37", "#cf222e", "#656d76", "#9a6700"
COLOURS: dict[str, str] = {
    "passed": GREEN,
    "failed": RED,
    "not attempted": GREY,
    "interrupted": GREY,
    "could not judge": AMBER,
}
COUNTED = ("in all of this check", "yours", "model")
COUNTED_WHERE = "Counted in this process, of what your code did through asyncpg:"
NOT_ATTEMPTED = "Change the starter code above, run its cell, then run this one again."


@dataclass(frozen=True)
class Report:
    """What a check found. Criteria that are not met come first.

    `error` is the learner's own exception with the lines of their code that led to it; `reason`
    says why the check could not judge.
    """

    number: int
    label: str  # "Task 2", "Warm-up"
    title: str
    status: Status
    criteria: tuple[Criterion, ...] = ()
    traps: tuple[str, ...] = ()  # their names
    trap_texts: tuple[str, ...] = ()
    error: str = ""
    reason: str = ""
    # After passing. None where the code may be the model answer itself: outputs in solutions/ are
    # stored and compared, and figures may differ from run to run.
    figures: tuple[Figure, ...] | None = None

    ways: tuple[str, ...] = ()  # to look at what failed

    @property
    def _ordered(self) -> list[Criterion]:
        return sorted(self.criteria, key=lambda criterion: criterion[1])

    @property
    def _advice(self) -> tuple[str, ...]:
        if self.figures is not None:
            return (f"The model answer: drill[{self.number}].solution()",)
        if self.status == "failed":
            return (f"A hint: drill[{self.number}].hint()", *self.ways)
        return (f"–  {NOT_ATTEMPTED}",) if self.status == "not attempted" else ()

    def __repr__(self) -> str:
        lines = [f"{self.label}, {self.title}: {self.status}"]
        if self.reason:  # what was seen is kept, and not shown: it may be the machine's fault
            return "\n".join([*lines, *wrapped(self.reason, "  ")])
        for what, met, measured in self._ordered:
            lines += wrapped(f"{'✔' if met else '✘'}  {what} — {measured}", "     ")
        if self.error:
            lines += ["  Your code raised:", *textwrap.indent(self.error, "     ").splitlines()]
        for text in self.trap_texts:
            lines += wrapped(f"Trap. {text}", "     ")
        if self.figures:
            table = repr(Table(COUNTED, self.figures))
            lines += [f"  {COUNTED_WHERE}", *textwrap.indent(table, "     ").splitlines()]
        lines += [f"  {advice}" for advice in self._advice]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        if os.environ.get("NO_COLOR"):  # as where outputs are stored and compared
            return {"text/plain": repr(self)}
        return {"text/plain": repr(self), "text/html": self._as_html()}

    def _as_html(self) -> str:
        rows = [
            f"<tr><td>{_badge('✔' if met else '✘', GREEN if met else RED)}</td>"
            f'<td style="text-align: left">{html.escape(what)}</td>'
            f'<td style="text-align: left">{html.escape(measured)}</td></tr>'
            for what, met, measured in self._ordered
        ]
        title = html.escape(f"{self.label}, {self.title}")
        parts = [f"<p><strong>{title}</strong> {_badge(self.status, COLOURS[self.status])}</p>"]
        if self.reason:
            return f"{parts[0]}\n<p>{html.escape(self.reason)}</p>"
        if rows:
            parts.append(f"<table><tbody>{''.join(rows)}</tbody></table>")
        if self.error:
            parts.append(f"<p>Your code raised:</p><pre>{html.escape(self.error)}</pre>")
        parts += [f"<p><strong>Trap.</strong> {html.escape(text)}</p>" for text in self.trap_texts]
        if self.figures:
            parts += [f"<p>{COUNTED_WHERE}</p>", _as_table(self.figures)]
        if self._advice:
            parts.append(f"<p>{'<br>'.join(map(html.escape, self._advice))}</p>")
        return "\n".join(parts)


def _as_table(figures: tuple[Figure, ...]) -> str:
    head = "".join(f"<th>{what}</th>" for what in COUNTED)
    rows = "".join(
        f'<tr><td style="text-align: left">{html.escape(what)}</td><td>{mine}</td>'
        f"<td>{models}</td></tr>"
        for what, mine, models in figures
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _badge(text: str, colour: str) -> str:
    style = f"background-color: {colour}; color: #ffffff; padding: 1px 6px"
    return f'<span style="{style}">{html.escape(text)}</span>'


def wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent="  ",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
