"""The lessons' pictures, each with the same in words: for screen readers, plain text, and nbval,
which compares no pixels."""

from __future__ import annotations

import base64
import html
import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib takes half a second to import, and most kernels draw nothing
    from matplotlib.figure import Figure

OPERATING_SYSTEM, TLS, POSTGRESQL = "#dbe9f6", "#fdebd0", "#dff0d8"

# The steps of asyncpg.connect(), whose they are, and what is raised when they fail.
STEPS = (
    ("read the DSN", "asyncpg", "#eeeeee", "ValueError\nClientConfigurationError"),
    ("look up the host", "operating system", OPERATING_SYSTEM, "gaierror"),
    (
        "open TCP",
        "operating system",
        OPERATING_SYSTEM,
        "ConnectionRefusedError\nOSError: Multiple exceptions",
    ),
    ("agree on TLS", "TLS", TLS, "ConnectionError: rejected\nSSLCertVerificationError"),
    ("be let in", "PostgreSQL", POSTGRESQL, "57P03  CannotConnectNow\n28000  pg_hba.conf"),
    (
        "prove the password",
        "PostgreSQL",
        POSTGRESQL,
        "28P01  InvalidPassword\n28000  role may not log in",
    ),
    (
        "open the database",
        "PostgreSQL",
        POSTGRESQL,
        "3D000  InvalidCatalogName\n42704  unknown setting",
    ),
)
TIMEOUT = "TimeoutError: connect(timeout=) counts from step 2 to step 7"


def show(figure: Figure, words: str) -> None:
    """Display `figure` as a small PNG whose text form is `words`."""
    from IPython.display import display
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=80, format="png", metadata={"Software": None})
    # An octree keeps small areas of a pale colour apart; Pillow's other ways draw a timeline's grey
    # as its pink.
    flat = (
        Image.open(drawn)
        .convert("RGB")
        .quantize(32, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    )
    flat.save(small, "png", optimize=True)
    shown: dict[str, Any] = {"image/png": small.getvalue(), "text/plain": words}
    if "JPY_SESSION_NAME" in os.environ:
        shown["text/html"] = _image(small.getvalue(), words)
    display(shown, raw=True, metadata={"image/png": {"alt": words}})  # type: ignore[no-untyped-call]


def _image(png: bytes, words: str) -> str:
    """For JupyterLab, which shows HTML rather than a PNG, and drops the words of a PNG.

    JupyterLab 4.6 and nbconvert 7.17's template `lab` write no `alt` for image/png, whatever its
    metadata hold. Stored outputs have no HTML: a picture of measurements differs at each run, and
    of PNG nbval compares the words only.
    """
    data = base64.b64encode(png).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html.escape(words)}">'


def bars(values: dict[str, float], what: str) -> None:
    """Horizontal bars of measured values, relative to the smallest.

    The words name them, and no numbers, which vary.
    """
    from matplotlib.figure import Figure

    least = min(values.values())
    figure = Figure(figsize=(7.5, 0.5 + 0.38 * len(values)), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(
        list(values), [value / least for value in values.values()], color="#4a7ebb", height=0.6
    )
    axes.bar_label(drawn, fmt="%.1f", padding=3, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel(what, fontsize=9)
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    show(figure, f"Bars, {what}, for: {', '.join(values)}")


def connecting() -> None:
    """Lesson 01: the steps of connecting, and at which of them each error comes."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(8.6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.02, 4.02), ylim=(-0.25, 2.08))
    axes.axis("off")
    for number, (step, whose, colour, errors) in enumerate(STEPS):
        row, place = divmod(number, 4)
        left, top = place + row * 0.5, 1.7 - 1.05 * row
        axes.add_patch(
            FancyBboxPatch(
                (left + 0.08, top - 0.14),
                0.8,
                0.28,
                boxstyle="round,pad=0.03",
                fc=colour,
                ec="#555555",
            )
        )
        axes.text(left + 0.48, top, f"{number + 1}  {step}", ha="center", va="center", fontsize=10)
        axes.text(
            left + 0.48, top + 0.27, whose, ha="center", va="center", fontsize=8.5, color="#444444"
        )
        axes.text(
            left + 0.48,
            top - 0.24,
            errors,
            ha="center",
            va="top",
            fontsize=8.5,
            color="#8c1515",
            linespacing=1.4,
        )
        if place:
            axes.annotate(
                "",
                (left + 0.05, top),
                (left - 0.09, top),
                arrowprops={"arrowstyle": "->", "color": "#555555"},
            )
    axes.text(2, -0.16, TIMEOUT, ha="center", va="center", fontsize=9, color="#8c1515")
    show(
        figure,
        "Steps of connecting, and their errors:\n"
        + "\n".join(
            f"{number}. {step} ({whose}): {_in_one_line(errors)}"
            for number, (step, whose, _, errors) in enumerate(STEPS, 1)
        )
        + f"\n{TIMEOUT}",
    )


def _in_one_line(errors: str) -> str:
    return ", ".join(" ".join(line.split()) for line in errors.splitlines())
