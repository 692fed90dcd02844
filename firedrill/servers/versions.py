"""Versions as people write them: "17", "1.26.1", "19rc1". What was asked for, and whether something
fits it.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from .errors import Unavailable

TITLES = {"postgres": "PostgreSQL", "pgbouncer": "PgBouncer"}
OLDEST = {"postgres": "15", "pgbouncer": "1.22.1"}
WHY = {
    "postgres": "The shop's schema and the lessons need PostgreSQL 15.",
    "pgbouncer": (
        "Below 1.22.1 a server connection that carried a COPY FROM STDIN may stay with its "
        "client, and on 1.21 one "
        "client's DISCARD ALL breaks the prepared statements of the others: "
        "https://www.pgbouncer.org/changelog.html#pgbouncer-122x"
    ),
}


class Wanted(NamedTuple):
    """What was asked for; None stands for what the default pair has."""

    postgres: str | None = None
    pgbouncer: str | None = None


def wanted(postgres: str | None = None, pgbouncer: str | None = None) -> Wanted:
    """What is named here, else in $FIREDRILL_POSTGRES and $FIREDRILL_PGBOUNCER.

    Raises `Unavailable`.
    """
    return Wanted(
        _checked("postgres", postgres, "FIREDRILL_POSTGRES"),
        _checked("pgbouncer", pgbouncer, "FIREDRILL_PGBOUNCER"),
    )


def _checked(program: str, given: str | None, variable: str) -> str | None:
    asked = (given or os.environ.get(variable) or "").strip()
    if not asked:
        return None
    if not re.fullmatch(r"\d+(\.\d+)*([a-z]+\d*)?", asked):
        raise Unavailable(
            f"{asked!r} is no version of {TITLES[program]}: {variable} takes one such as "
            f"{'18' if program == 'postgres' else '1.26'}.\n"
            "`firedrill servers --versions` lists what can be had here. A program of your own is "
            "named in "
            "FIREDRILL_POSTGRES_BIN=<folder> and FIREDRILL_PGBOUNCER_BIN=<program>."
        )
    # "1.22" may be 1.22.1, so what is asked for is compared no further than it goes.
    oldest = key(OLDEST[program])[: len(key(asked))]
    if key(asked) < oldest:
        raise Unavailable(
            f"The course needs {TITLES[program]} {OLDEST[program]} or newer, and {asked} was "
            "asked for.\n"
            f"{WHY[program]}"
        )
    return asked


def read(text: str) -> str:
    """The version in what `--version` prints, in a package's version or in `server_version`; "" if
    there is none.

    >>> read("postgres (PostgreSQL) 19rc1 (Debian 19~rc1-1)"), read("1:1.26.1-1"), read("PgBouncer
    1.24.1") ('19rc1', '1.26.1', '1.24.1')
    """
    found = re.search(r"\d+(?:\.\d+)*(?:~?(?:alpha|beta|rc|devel)\d*)?", re.sub(r"^\d+:", "", text))
    return found[0].replace("~", "") if found else ""


def key(version: str) -> tuple[int, ...]:
    """To sort and compare: a pre-release sorts before its release, (19,) before (19, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", re.sub(r"[a-z].*", "", version)))


def fits(asked: str | None, version: str) -> bool:
    """18.6 fits "18" and "18.6"; 19rc1 fits "19" and "19rc1"; 1.26.1 does not fit "1.2"."""
    return bool(version) and (
        asked is None
        or version == asked
        or re.match(rf"{re.escape(asked)}(\.|[a-z])", version) is not None
    )


def short(title: str, version: str) -> str:
    """Without the minor release of PostgreSQL, and without PgBouncer's third number: "17", "19rc1",
    "1.24".
    """
    return ".".join(version.split(".")[: 1 if title == TITLES["postgres"] else 2])


def old(program: str, version: str) -> bool:
    return key(version) < key(OLDEST[program])
