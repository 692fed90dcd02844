"""The race as a picture: a lane for each connection, a row for each statement in the order of
sending, time goes down."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from .race import Race, Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, GUTTER = 9.5, 0.35  # inches: of the picture, and of the step numbers at its left
LINE, PADDING, GAP = 0.165, 0.1, 0.09
LETTER = (
    0.0633  # inches of a letter at 8.5 points in DejaVu Sans Mono, as hinted for 80 dots per inch
)
LINES = 3  # that a statement takes at most
LANE, WAIT, ERROR, ANSWER = "#b8bec6", "#fbe3e0", "#b02020", "#1f4e79"
COLOURS = {
    "begin": "#e9ebee",
    "start": "#e9ebee",
    "savepoint": "#e9ebee",
    "release": "#e9ebee",
    "commit": "#cfe8c6",
    "rollback": "#f6c9c4",
    "select": "#ffffff",
    "show": "#ffffff",
}
WRITE = "#dbe9f6"


def draw(race: Race) -> Figure:
    """The same steps give the same picture, to the byte."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    lane = (WIDTH - GUTTER) / len(race.names)
    width = int((lane - 0.4) / LETTER)
    boxes = {step.number: _lines(step, width) for step in race.steps}
    # The answer of a statement that has waited stands in the row of the one that let it go on, in
    # its own lane.
    late = {
        step.number: _wrap(f"→ {step.answer}", width)
        for step in race.steps
        if step.after and step.waited
    }
    heights = {
        step.number: max(
            [len(boxes[step.number])]
            + [
                len(late[one.number])
                for one in race.steps
                if one.number in late and one.after == step.number
            ]
        )
        * LINE
        + PADDING
        for step in race.steps
    }
    tops, y = {}, 0.5
    for number, height in heights.items():
        if any(step.waited and step.after == number == step.number + 1 for step in race.steps):
            y += 1.5 * LINE  # so that the wait is seen
        tops[number] = y
        y += height + GAP
    if any(step.after is None for step in race.steps):
        y += 2 * LINE
    figure = Figure(figsize=(WIDTH, y + 0.05))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(y + 0.05, 0))
    axes.axis("off")
    left = {name: GUTTER + lane * number + 0.08 for number, name in enumerate(race.names)}
    for name, x in left.items():
        middle = x + (lane - 0.16) / 2
        axes.plot([middle, middle], [0.3, y], color=LANE, linewidth=1, zorder=0)
        axes.text(
            middle,
            0.24,
            name,
            ha="center",
            va="center",
            fontsize=9.5,
            weight="bold",
            bbox={"boxstyle": "round,pad=0.35", "fc": "#fdebd0", "ec": "#666666", "lw": 0.8},
        )
    for step in race.steps:
        x, top = left[step.who], tops[step.number]
        axes.text(
            0.12,
            top + heights[step.number] / 2,
            f"{step.number}",
            va="center",
            fontsize=8,
            color="#6b7680",
        )
        bottom = top + len(boxes[step.number]) * LINE + PADDING
        if step.waited:
            end = tops[step.after] if step.after else y
            axes.add_patch(
                FancyBboxPatch(
                    (x + 0.5, bottom),
                    0.9,
                    end - bottom,
                    boxstyle="square,pad=0",
                    fc=WAIT,
                    ec=ERROR,
                    lw=0.9,
                    zorder=1,
                )
            )
            if end - bottom > LINE:
                axes.text(
                    x + 0.95,
                    (bottom + end) / 2,
                    "waits" if step.after else "waits still",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=ERROR,
                )
        _box(axes, x, top, lane - 0.16, boxes[step.number], step, is_answer=not step.waited)
        if step.after and step.waited:
            _box(axes, x, tops[step.after], lane - 0.16, late[step.number], step, is_answer=True)
    return figure


def _lines(step: Step, width: int) -> list[str]:
    lines = _wrap(step.statement, width)
    if step.waited or step.statement.upper().startswith(
        step.answer
    ):  # COMMIT is answered by COMMIT
        return lines
    if len(lines[-1]) + 3 + len(step.answer) <= width:
        return [*lines[:-1], f"{lines[-1]} → {step.answer}"]
    return [*lines, *_wrap(f"→ {step.answer}", width)]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, max_lines=LINES, placeholder=" …", break_on_hyphens=False
    ) or [""]


def _box(
    axes: Any, x: float, top: float, width: float, lines: list[str], step: Step, is_answer: bool
) -> None:
    """Its text: the statement in black, what follows the arrow, if it is answered here, in the
    answer's colour."""
    from matplotlib.patches import FancyBboxPatch

    failed = step.failed and is_answer
    edge = ERROR if failed else "#777777"
    axes.add_patch(
        FancyBboxPatch(
            (x, top),
            width,
            len(lines) * LINE + PADDING,
            boxstyle="round,pad=0,rounding_size=0.05",
            fc=_colour(step, is_answer),
            ec=edge,
            lw=1.4 if failed else 0.8,
            zorder=2,
        )
    )
    tone = (
        ERROR
        if failed or (is_answer and step.answer == "ROLLBACK" != step.statement.upper())
        else ANSWER
    )
    answering = False
    for number, line in enumerate(lines):
        y = top + PADDING / 2 + (number + 0.5) * LINE
        statement, arrow, answer = (
            (line, "", "") if answering or not is_answer else line.partition("→ ")
        )
        if answering:
            statement, answer = "", line
        answering = answering or bool(arrow)
        axes.text(
            x + 0.1,
            y,
            statement,
            va="center",
            fontsize=8.5,
            family="monospace",
            zorder=3,
            parse_math=False,
        )
        axes.text(
            x + 0.1 + len(statement) * LETTER,
            y,
            arrow + answer,
            va="center",
            fontsize=8.5,
            family="monospace",
            color=tone,
            weight="bold",
            zorder=3,
            parse_math=False,
        )


def _colour(step: Step, is_answer: bool) -> str:
    word = step.statement.split(" ")[0].lower()
    if is_answer and (step.failed or (word == "commit" and step.answer == "ROLLBACK")):
        return COLOURS["rollback"]
    return COLOURS.get(word, WRITE)
