"""What differs between versions of PostgreSQL, PgBouncer and asyncpg: the rows of VERSIONS.md.

A row is a coroutine that measures one behaviour on its own pair of servers. `make atlas` runs
them all; `python -m firedrill.atlas NAME` runs one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..servers import versions

MEASURED = Path(__file__).with_name("measured.json")


class Column(NamedTuple):
    """One set of versions. What is not named is the default's, or asyncpg's that is installed."""

    postgres: str = "17"
    pgbouncer: str = "1.24"
    asyncpg: str = ""


# Which versions a row is measured on depends on who decides its answer.
AXES: dict[str, dict[str, Column]] = {
    "PostgreSQL": {version: Column(postgres=version) for version in ("17", "18", "19")},
    "PgBouncer": {
        f"{pgbouncer}, PostgreSQL {postgres}": Column(postgres, pgbouncer)
        for pgbouncer in ("1.24", "1.26")
        for postgres in ("17", "18")
    },
    "asyncpg": {
        version: Column(asyncpg=f"{version}.0") for version in ("0.29", "0.30", "0.31", "0.32")
    },
}


class Row(NamedTuple):
    name: str
    title: str
    axis: str
    lesson: str
    measure: Callable[[Any], Awaitable[object]]


ROWS: dict[str, Row] = {}


def row(
    axis: str, title: str, lesson: str
) -> Callable[[Callable[[Any], Awaitable[object]]], Callable[[Any], Awaitable[object]]]:
    """Register a coroutine that measures one behaviour and returns the answer in a few words."""

    def register(
        measure: Callable[[Any], Awaitable[object]],
    ) -> Callable[[Any], Awaitable[object]]:
        name = measure.__name__.replace("_", "-")
        assert name not in ROWS, name
        ROWS[name] = Row(name, title, axis, lesson, measure)
        return measure

    return register


def measured() -> dict[str, Any]:
    """The last run: {"date", "versions", "rows": {name: {"title", "axis", "lesson", "answers"}}}.

    The answers are a dictionary: {column: answer}.
    """
    return json.loads(MEASURED.read_text()) if MEASURED.exists() else {"rows": {}}


def holding(postgres: str, pgbouncer: str, asyncpg: str) -> list[tuple[dict[str, Any], str]]:
    """The rows that differ between versions, with their answers for these versions.

    "" stands for a version that is not known.
    """
    found = []
    for one in measured()["rows"].values():
        answers = one["answers"]
        if len(set(answers.values())) < 2:
            continue
        for column, answer in answers.items():
            at = AXES[one["axis"]][column]
            fits = {
                "PostgreSQL": versions.fits(at.postgres, postgres),
                "PgBouncer": versions.fits(at.postgres, postgres)
                and versions.fits(at.pgbouncer, pgbouncer),
                "asyncpg": versions.fits(column, asyncpg),
            }
            if fits[one["axis"]]:
                found.append((one, answer))
    return found
