"""The recording as a picture: above who waits, below a lane for each connection, with who holds
it. Time goes right."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from .recording import Borrow, Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 9.5  # inches
WAITERS = 10  # more than these are drawn as a count
LETTER = 0.075  # inches of a letter at 8 points, on average
IDLE, WAITING, WAITING_EDGE, LEAK = "#e4e7ea", "#fbe3e0", "#b02020", "#b02020"
COLOURS = ("#9ec5e8", "#b5d8a6", "#f5cf8e", "#cdb5e0", "#f2b6b0", "#a5d8d4", "#d9c7a0", "#c4cbd3")


def draw(recording: Recording) -> Figure:
    from matplotlib.figure import Figure

    end = max(recording.now(), 1e-6)
    waiting = [one for one in recording.borrows if one.waited]
    connections = sorted(recording.opened)
    as_count = len(waiting) > WAITERS
    upper = 4 if as_count else len(waiting)
    height = 0.9 + 0.3 * (upper + len(connections)) + (0.2 if waiting else 0)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    colours = dict(
        zip(dict.fromkeys(one.who for one in recording.borrows), cycle(COLOURS), strict=False)
    )
    scale = (WIDTH - 1.6) / end
    labels: dict[float, str] = {}
    if as_count:
        _count(axes, waiting, end)
        labels[1.6] = f"waiting (up to {_most(waiting, end)})"
    else:
        for row, one in enumerate(waiting):
            labels[row] = one.who
            stop = one.got or one.gave_up or end
            _bar(
                axes,
                row,
                one.asked,
                stop,
                "waits" + (", gives up" if one.gave_up else ""),
                WAITING,
                scale,
                edge=WAITING_EDGE,
            )
    first = upper + (0.6 if waiting else 0)
    for row, number in enumerate(connections):
        y = first + row
        labels[y] = f"connection {number}"
        closed = recording.closed.get(number, end)
        axes.barh(
            y,
            closed - recording.opened[number],
            left=recording.opened[number],
            height=0.72,
            color=IDLE,
        )
        for one in recording.borrows:
            if one.connection == number and one.got is not None:
                _bar(
                    axes,
                    y,
                    one.got,
                    one.returned or end,
                    one.who,
                    colours[one.who],
                    scale,
                    edge="#777777" if one.returned else LEAK,
                )
    axes.set(xlim=(0, end), ylim=(first + len(connections) - 0.4, -0.6))
    axes.set_yticks(list(labels), list(labels.values()), fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(
        "seconds. Grey: open and idle. Red edge: waits, or never comes back", fontsize=8.5
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    # matplotlib's own layouts draw everything twice.
    figure.subplots_adjust(
        left=(0.15 + LETTER * 1.06 * max(map(len, labels.values()))) / WIDTH,
        right=1 - 0.1 / WIDTH,
        top=1 - 0.05 / height,
        bottom=0.5 / height,
    )
    return figure


def _bar(
    axes: Any, y: float, start: float, stop: float, text: str, colour: str, scale: float, edge: str
) -> None:
    axes.barh(y, stop - start, left=start, height=0.72, color=colour, edgecolor=edge, linewidth=0.9)
    if (stop - start) * scale > len(text) * LETTER:
        axes.text(
            (start + stop) / 2, y, text, ha="center", va="center", fontsize=8, parse_math=False
        )


def _steps(waiting: list[Borrow], end: float) -> tuple[list[float], list[int]]:
    changes = sorted(
        [(one.asked, 1) for one in waiting]
        + [(one.got or one.gave_up or end, -1) for one in waiting]
    )
    times, counts, count = [0.0], [0], 0
    for when, change in changes:
        count += change
        times.append(when)
        counts.append(count)
    return [*times, end], [*counts, count]


def _most(waiting: list[Borrow], end: float) -> int:
    return max(_steps(waiting, end)[1])


def _count(axes: Any, waiting: list[Borrow], end: float) -> None:
    """The number of those who wait, over time, three rows high."""
    times, counts = _steps(waiting, end)
    heights = [3.2 - 3.4 * count / max(counts) for count in counts]
    axes.fill_between(
        times, heights, 3.2, step="post", color=WAITING, edgecolor=WAITING_EDGE, linewidth=0.9
    )
