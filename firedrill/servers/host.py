"""Servers that are installed already: where there is no apt (macOS, Fedora), or on request
(FIREDRILL_SERVERS=host)."""

from __future__ import annotations

import os
import shutil
import subprocess
from glob import glob
from pathlib import Path
from typing import NamedTuple

from . import versions
from .errors import Unavailable
from .versions import Wanted, fits, old


class Programs(NamedTuple):
    postgres: Path  # the folder with postgres, initdb and psql
    pgbouncer: Path  # the program


def version(program: Path) -> str:
    """ "17.12", "19rc1", "1.24.1", or "" where the program does not say."""
    return versions.read(
        subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    )


def find(wanted: Wanted = Wanted()) -> Programs:  # noqa: B008  a tuple
    """The newest PostgreSQL and the first PgBouncer that will do.

    Raises `Unavailable` with all that was found.
    """
    on_path = [
        str(Path(found).resolve().parent)
        for found in map(shutil.which, ("postgres", "pg_ctl"))
        if found
    ]
    folders = {
        *on_path,
        *filter(None, [os.environ.get("FIREDRILL_POSTGRES_BIN")]),
        *glob("/usr/lib/postgresql/*/bin"),
        *glob("/usr/pgsql-*/bin"),
        *glob("/opt/homebrew/opt/postgresql@*/bin"),
        *glob("/usr/local/opt/postgresql@*/bin"),
        *glob("/Applications/Postgres.app/Contents/Versions/*/bin"),
    }
    postgres = sorted(
        (
            (version(Path(folder, "postgres")), folder)
            for folder in folders
            if all(Path(folder, name).exists() for name in ("postgres", "initdb", "psql"))
        ),
        key=lambda found: (versions.key(found[0]), found[1]),
    )
    pgbouncer = [
        (version(Path(program)), program)
        for program in dict.fromkeys(
            [
                os.environ.get("FIREDRILL_PGBOUNCER_BIN"),
                shutil.which("pgbouncer"),
                "/usr/sbin/pgbouncer",
                "/opt/homebrew/opt/pgbouncer/bin/pgbouncer",
                "/usr/local/opt/pgbouncer/bin/pgbouncer",
            ]
        )
        if program and Path(program).exists()
    ]
    good_postgres = [
        folder
        for found, folder in postgres
        if fits(wanted.postgres, found)
        and not old("postgres", found)
        and _has_contrib(Path(folder))
    ]
    good_pgbouncer = [
        program
        for found, program in pgbouncer
        if fits(wanted.pgbouncer, found) and not old("pgbouncer", found)
    ]
    if not good_postgres or not good_pgbouncer:
        listed = (
            ", ".join(f"{program} ({found})" for found, program in [*postgres, *pgbouncer])
            or "neither"
        )
        raise Unavailable(
            f"Looked for PostgreSQL {wanted.postgres or '15 or newer'} with its contrib "
            "modules, and PgBouncer "
            f"{wanted.pgbouncer or '1.22.1 or newer'}.\n"
            f"Found: {listed}.\nInstall them (`brew install postgresql@17 pgbouncer`), or name "
            "them in the "
            "environment: FIREDRILL_POSTGRES_BIN=<folder>, FIREDRILL_PGBOUNCER_BIN=<program>"
        )
    return Programs(Path(good_postgres[-1]), Path(good_pgbouncer[0]))


def _has_contrib(folder: Path) -> bool:
    pg_config = folder / "pg_config"
    shared = [
        folder / "../share",
        folder / "../share/postgresql",
        Path("/usr/share/postgresql", folder.parent.name),
        Path("/usr/share/pgsql"),
    ]
    if pg_config.exists():
        shared.insert(
            0, Path(subprocess.check_output([pg_config, "--sharedir"], text=True).strip())
        )
    return any((path / "extension/hstore.control").exists() for path in shared)
