"""The lessons' pictures, each with the same in words: for screen readers, plain text, and nbval, which compares no pixels."""

from __future__ import annotations

import io

from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

OPERATING_SYSTEM, TLS, POSTGRESQL = "#dbe9f6", "#fdebd0", "#dff0d8"

# The steps of asyncpg.connect(), whose they are, and what is raised when they fail.
STEPS = (
    ("read the DSN", "asyncpg", "#eeeeee", "ValueError\nClientConfigurationError"),
    ("look up the host", "operating system", OPERATING_SYSTEM, "gaierror"),
    ("open TCP", "operating system", OPERATING_SYSTEM, "ConnectionRefusedError\nOSError, TimeoutError"),
    ("agree on TLS", "TLS", TLS, "ConnectionError\nSSLCertVerificationError"),
    ("be let in", "PostgreSQL", POSTGRESQL, "57P03  CannotConnectNow\n28000  pg_hba.conf"),
    ("prove the password", "PostgreSQL", POSTGRESQL, "28P01  InvalidPassword"),
    ("open the database\nwith its settings", "PostgreSQL", POSTGRESQL, "3D000  InvalidCatalogName\n42704  UndefinedObject"),
)


def show(figure: Figure, words: str) -> None:
    """Display `figure` as a small PNG whose text form is `words`."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, dpi=110, format="png", metadata={"Software": None})
    Image.open(drawn).convert("P", palette=Image.Palette.ADAPTIVE, colors=48).save(small, "png", optimize=True)
    display({"image/png": small.getvalue(), "text/plain": words},      # type: ignore[no-untyped-call]
            raw=True, metadata={"image/png": {"alt": words}})


def connecting() -> None:
    """Lesson 01: the steps of connecting, and at which of them each error comes."""
    figure = Figure(figsize=(10.5, 2.3), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, len(STEPS)), ylim=(0, 1))
    axes.axis("off")
    for place, (step, whose, colour, errors) in enumerate(STEPS):
        axes.add_patch(FancyBboxPatch((place + 0.07, 0.55), 0.8, 0.3, boxstyle="round,pad=0.03", fc=colour, ec="#666666"))
        axes.text(place + 0.47, 0.7, f"{place + 1}  {step}", ha="center", va="center", fontsize=8.5)
        axes.text(place + 0.47, 0.94, whose, ha="center", va="center", fontsize=7.5, color="#555555")
        axes.text(place + 0.47, 0.42, errors, ha="center", va="top", fontsize=7, color="#a02020", linespacing=1.6)
        if place:
            axes.annotate("", (place + 0.03, 0.7), (place - 0.09, 0.7), arrowprops={"arrowstyle": "->", "color": "#666666"})
    show(figure, "Steps of connecting, and their errors:\n" + "\n".join(
        f"{number}. {' '.join(step.split())} ({whose}): {', '.join(' '.join(line.split()) for line in errors.splitlines())}"
        for number, (step, whose, _, errors) in enumerate(STEPS, 1)))
