"""VERSIONS.md out of what was measured: the rows that differ between versions first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import AXES, ROWS

PAGE = Path(__file__).parents[2] / "VERSIONS.md"
BEGIN = """# What differs between versions

Made by `make atlas` on {date} from a live run; nothing here is written by hand. Each row is a small
script in [firedrill/atlas/rows](firedrill/atlas/rows). To run one alone, on all of its versions:

    .venv/bin/python -m firedrill.atlas {example}

Rows that differ come first. Where only one side decides an answer, the other two are at the
default: PostgreSQL 17, PgBouncer 1.24 and the asyncpg that is installed. PgBouncer is in pool mode
transaction unless the row says something else. `firedrill doctor postgresql://...` lists the rows
that hold for a server of yours. Other pairs of servers: `firedrill servers --versions`.
"""


def text(now: dict[str, Any]) -> str:
    parts = [BEGIN.format(date=now["date"], example=next(iter(now["rows"])))]
    for axis in AXES:
        own = {name: one for name, one in now["rows"].items() if one["axis"] == axis}
        differing = [name for name, one in own.items() if len(set(one["answers"].values())) > 1]
        alike = [name for name in own if name not in differing]
        heads = [_head(axis, column, now) for column in AXES[axis]]
        parts.append(f"## {axis} decides\n")
        parts.append(_table(heads, [(name, own[name]) for name in differing]))
        parts.append(f"### {axis}: alike on all of these\n")
        parts.append(_short([(name, own[name]) for name in alike]))
    return "\n".join(parts)


def _head(axis: str, column: str, now: dict[str, Any]) -> str:
    found = now["versions"][axis][column]
    exact = {
        "PostgreSQL": f"PostgreSQL {found['postgres']}",
        "PgBouncer": f"PgBouncer {found['pgbouncer']}, PostgreSQL {found['postgres']}",
        "asyncpg": f"asyncpg {found['asyncpg']}",
    }
    return exact[axis]


def _table(heads: list[str], found: list[tuple[str, dict[str, Any]]]) -> str:
    lines = [
        f"| behaviour | {' | '.join(heads)} | lesson | row |",
        f"|---|{'---|' * len(heads)}---|---|",
    ]
    for name, one in found:
        cells = " | ".join(_cell(answer) for answer in one["answers"].values())
        lines.append(f"| {_safe(one['title'])} | {cells} | {_lesson(one)} | {_script(name)} |")
    return "\n".join(lines) + "\n"


def _short(found: list[tuple[str, dict[str, Any]]]) -> str:
    lines = ["| behaviour | on all | lesson | row |", "|---|---|---|---|"]
    for name, one in found:
        answer = next(iter(one["answers"].values()))
        lines.append(
            f"| {_safe(one['title'])} | {_cell(answer)} | {_lesson(one)} | {_script(name)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(answer: str) -> str:
    plain = {"True": "yes", "False": "no"}.get(answer)
    return plain or f"`{_safe(answer)}`"


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def _lesson(one: dict[str, Any]) -> str:
    return f"[{one['lesson'][:2]}](notebooks/{one['lesson']}.ipynb)"


def _script(name: str) -> str:
    module = ROWS[name].measure.__module__.rpartition(".")[2]
    return f"[{name}](firedrill/atlas/rows/{module}.py)"
