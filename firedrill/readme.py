"""README's error index, made from `firedrill.index` between two marks."""

from __future__ import annotations

from pathlib import Path

from . import index

PATH = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- errors: made by `make notebooks` -->\n", "<!-- end of errors -->\n"


def updated() -> str:
    """README's text with the table as it should be."""
    text = PATH.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    rows = "".join(f"| `{entry.title.replace('|', chr(92) + '|')}` | {', '.join(f'`{one}`' for one in entry.classes)} "
                   f"| {entry.sqlstate} | [{entry.lesson}]({entry.link}) |\n"
                   for entry in sorted(index.entries(), key=lambda entry: entry.lesson))
    return f"{before}{BEGIN}\n| the error says | class | SQLSTATE | lesson |\n|---|---|---|---|\n{rows}\n{END}{after}"
