"""The recording as a sequence picture: a lane for each client, for PgBouncer and for each
backend; time goes down."""

from __future__ import annotations

from collections.abc import Collection

from matplotlib.figure import Figure

from .table import Flight

WIDTH = 10.5  # inches: a notebook's, as the other pictures
ROW = 0.42  # inches for an arrow and its two lines of text
LANE = "#b8bec6"
COLOURS = {"client": "#dbe9f6", "PgBouncer": "#fdebd0", "backend": "#dff0d8"}
REQUEST, ANSWER, FAILURE, DETAIL = "#1f4e79", "#6b7680", "#b02020", "#333333"


def lanes(shown: list[Flight]) -> list[str]:
    """From left to right: clients in the order in which they connected, PgBouncer, backends by
    letter."""
    places: dict[str, tuple[int, int, str]] = {}
    for flight in sorted(shown, key=lambda flight: flight.events[0].connection.number):
        for end in (flight.source, flight.target):
            kind = _kind(end)
            places.setdefault(
                end,
                (0, len(places), "")
                if kind == "client"
                else (1, 0, "")
                if kind == "PgBouncer"
                else (2, len(end), end),
            )
    return sorted(places, key=lambda end: places[end])


def draw(shown: list[Flight], mark: Collection[int] = ()) -> Figure:
    """The same flights give the same picture, to the byte.

    Those with the numbers in `mark` stand out.
    """
    names = lanes(shown)
    height = ROW * (len(shown) + 1) + 0.2
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    gap = (WIDTH - 0.5) / max(len(names), 1)
    place = {name: 0.5 + gap * (number + 0.5) for number, name in enumerate(names)}
    for name, x in place.items():
        axes.plot([x, x], [0.3, height], color=LANE, linewidth=1, zorder=0)
        axes.text(
            x,
            0.25,
            name,
            ha="center",
            va="center",
            fontsize=9.5,
            weight="bold",
            bbox={
                "boxstyle": "round,pad=0.35",
                "fc": COLOURS[_kind(name)],
                "ec": "#666666",
                "lw": 0.8,
            },
        )
    for number, flight in enumerate(shown, 1):
        y = 0.2 + ROW * (number + 0.5)
        start, stop = place[flight.source], place[flight.target]
        stands_out = flight.has_failed or number in mark
        colour = FAILURE if stands_out else ANSWER if flight.is_answer else REQUEST
        axes.annotate(
            "",
            (stop, y),
            (start, y),
            arrowprops={
                "arrowstyle": "-|>",
                "color": colour,
                "lw": 2.2 if number in mark else 1.1,
                "shrinkA": 0,
                "shrinkB": 0,
                "linestyle": "--" if flight.is_answer else "-",
            },
        )
        axes.text(0.12, y, f"{number}", ha="left", va="center", fontsize=7.5, color=ANSWER)
        for text, shift, align, tone in (
            (flight.messages, -0.035, "bottom", colour),
            (flight.detail, 0.035, "top", DETAIL),
        ):
            if text:
                text, size, x = _fit(text, (start + stop) / 2)
                axes.text(
                    x,
                    y + shift,
                    text,
                    ha="center",
                    va=align,
                    fontsize=size,
                    parse_math=False,
                    color=FAILURE if stands_out else tone,
                    bbox={"boxstyle": "square,pad=0.05", "fc": "white", "ec": "none"},
                    zorder=1,
                )
    return figure


def _kind(end: str) -> str:
    return (
        "PgBouncer"
        if end == "PgBouncer"
        else "backend"
        if end.startswith(("backend ", "PostgreSQL"))
        else "client"
    )


def _fit(text: str, middle: float) -> tuple[str, float, float]:
    """Text, its size and its middle, moved and made smaller so that it stays within the picture."""
    for size in (8, 7):
        width = (
            len(text) * size * 0.0076
        )  # inches: DejaVu Sans needs 0.55 of its size for a letter on average
        if width < WIDTH - 0.8:
            break
    else:
        text = text[: int((WIDTH - 0.8) / (size * 0.0076)) - 1] + "…"
        width = WIDTH - 0.8
    return text, size, min(max(middle, 0.4 + width / 2), WIDTH - 0.1 - width / 2)
