"""What a lesson prints on another pair of versions than the one whose outputs are stored.

The stored outputs are those of PostgreSQL 17 and PgBouncer 1.24. Where another pair, or another
Python, prints something else, notebooks/differences.toml has the text that has to come there, and
why. conftest.py hands it to nbval instead of the stored one, so an expectation that does not hold
fails like any other output.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import servers
from ..servers import versions

FILE = "notebooks/differences.toml"
# The outputs of a cell that nbval compares, by its names for them.
OUTPUTS = ("stdout", "text/plain")
STORED_ON = ("17", "1.24")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Pair(NamedTuple):
    postgres: str  # as its program says it: "18.6", "19rc1"
    pgbouncer: str

    def __str__(self) -> str:
        return "/".join(self.short)

    @property
    def short(self) -> tuple[str, str]:
        """ "18" and "1.26", as a pair names itself."""
        return (
            versions.short(versions.TITLES["postgres"], self.postgres),
            versions.short(versions.TITLES["pgbouncer"], self.pgbouncer),
        )


class Difference(NamedTuple):
    notebook: str
    cell: str
    pairs: tuple[str, ...]  # "18/1.26"; none: any pair
    pythons: tuple[str, ...]  # "3.14"; none: any Python
    reason: str
    expected: dict[str, str]  # by the names of OUTPUTS

    def holds(self, pair: Pair, python: str = PYTHON) -> bool:
        of_pair = not self.pairs or any(
            all(map(versions.fits, one.split("/"), pair)) for one in self.pairs
        )
        return of_pair and (not self.pythons or python in self.pythons)

    def __str__(self) -> str:
        return f"{self.notebook}, cell {self.cell} ({', '.join(self.pairs + self.pythons)})"


class Differences:
    """What `folder`'s notebooks/differences.toml says.

    Raises `ValueError` with each entry that nothing can use: its notebook, its cell or its output
    is gone, or the stored output is what it expects.
    """

    def __init__(self, folder: Path) -> None:
        given = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))
        self.name: dict[str, str] = given["name_of_the_pair"]
        self.entries = [_read(one) for one in given.get("difference", ())]
        cells = {name: _cells(folder / name) for name in {one.notebook for one in self.entries}}
        if wrong := [
            f"{one}: {said}"
            for one in self.entries
            if (said := _unused(one, cells[one.notebook].get(one.cell)))
        ]:
            raise ValueError(f"{FILE} has what no run can use:\n" + "\n".join(wrong))

    def apply(self, notebook: str, cells: Sequence[Any], pair: Pair) -> int:
        """Let these cells expect what holds on `pair`; how many of them differ by an entry."""
        holding: dict[str, Difference] = {}
        for one in self.entries:
            if one.notebook == notebook and one.holds(pair):
                if one.cell in holding:
                    raise ValueError(f"{FILE}: {holding[one.cell]} and {one} both hold on {pair}")
                holding[one.cell] = one
        postgres, pgbouncer = pair.short
        name = self.name["expected"].format(postgres=postgres, pgbouncer=pgbouncer)
        for cell in cells:
            for output in cell.get("outputs", ()):
                key, text = _text(output)
                if key == "text/plain":
                    _replace(output, text.replace(self.name["stored"], name))
                expected = holding[cell["id"]].expected if cell["id"] in holding else {}
                if key in expected:
                    _replace(output, expected[key])
        return len(holding)


def pair_here() -> Pair:
    """The versions of the servers that a notebook would open now. Raises `Unavailable`."""
    wanted = versions.wanted()
    kind, _ = servers.choose(wanted)
    if kind == "docker":
        return Pair(*STORED_ON)  # the images have no other versions
    programs = servers.host.find(wanted) if kind == "host" else servers.debian.programs(wanted)
    folder, pgbouncer = programs
    return Pair(servers.host.version(folder / "postgres"), servers.host.version(pgbouncer))


def _read(entry: dict[str, Any]) -> Difference:
    expected = {key: entry.pop(key) for key in OUTPUTS if key in entry}
    pairs, pythons = entry.pop("pairs", ()), entry.pop("pythons", ())
    return Difference(pairs=tuple(pairs), pythons=tuple(pythons), expected=expected, **entry)


def _cells(notebook: Path) -> dict[str, dict[str, str]]:
    """By id, the texts of each cell's outputs."""
    if not notebook.exists():
        return {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return {cell["id"]: dict(map(_text, cell.get("outputs", ()))) for cell in cells}


def _unused(entry: Difference, stored: dict[str, str] | None) -> str:
    """Why no run can use it, "" if one can."""
    if stored is None:
        return "there is no such cell"
    if not entry.expected:
        return f"it expects nothing: {' or '.join(OUTPUTS)} is missing"
    for key, text in entry.expected.items():
        if key not in stored:
            return f"the cell has no stored {key}"
        if text == stored[key]:
            return f"its {key} is the stored one"
    return ""


def _text(output: dict[str, Any]) -> tuple[str, str]:
    """nbval's name for an output, and its text: "" for what is no text."""
    if output["output_type"] == "stream":
        return output["name"], "".join(output["text"])
    return "text/plain", "".join(output.get("data", {}).get("text/plain", ""))


def _replace(output: dict[str, Any], text: str) -> None:
    if output["output_type"] == "stream":
        output["text"] = text
    elif "data" in output:
        output["data"]["text/plain"] = text
