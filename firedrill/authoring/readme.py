"""README's error index, made from `firedrill.errors` between two marks, and its pictures, taken out of the lessons."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from .. import errors
from ..course import REPOSITORY

PATH = REPOSITORY / "README.md"
BEGIN, END = "<!-- errors: made by `make notebooks` -->\n", "<!-- end of errors -->\n"


# The file in notebooks/pictures, the lesson, and which of its pictures it is.
PICTURES = {
    "wrong-rows.png": ("10_prepared_statements", 1),
    "pool-modes.png": ("11_pool_modes", -1),
}


def pictures() -> dict[Path, bytes]:
    """What each file in notebooks/pictures should hold: the stored output of a lesson."""
    folder = PATH.parent / "notebooks"
    made = {}
    for name, (lesson, number) in PICTURES.items():
        cells = json.loads((folder / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
        found = [
            output["data"]["image/png"]
            for cell in cells
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        ]
        made[folder / "pictures" / name] = base64.b64decode("".join(found[number]))
    return made


def updated() -> str:
    """README's text with the table as it should be."""
    text = PATH.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "".join(
        f"| `{entry.title.replace('|', chr(92) + '|')}` | {', '.join(f'`{one}`' for one in entry.classes)} "
        f"| {entry.sqlstate} | [{entry.lesson}]({entry.link}) |\n"
        for entry in errors.entries()
    )
    return f"{before}{BEGIN}\n| the error says | class | SQLSTATE | lesson |\n|---|---|---|---|\n{rows}\n{END}{after}"
