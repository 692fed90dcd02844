"""The folders of the cache that hold unpacked programs: each a PostgreSQL and a PgBouncer.

The packages bring their own C library, so the host's age does not matter. The programs hold their
folder's path, so none of these folders can be moved.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from . import cache, versions
from .apt import ROOM, SOURCES, Apt
from .errors import Unavailable

LEFT_OUT = (
    "./etc",
    "./var",
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "*/bitcode",
    "*/llvmjit*",
    "*/gconv",
    "*/pgxs",
)


class Prefix(NamedTuple):
    """A folder with unpacked programs, and their versions: "" for one that is not in it."""

    path: Path
    postgres: str
    pgbouncer: str


def programs(path: Path) -> tuple[Path, Path]:
    """The folder with postgres, and the program pgbouncer."""
    (folder,) = path.glob("usr/lib/postgresql/*/bin")
    return folder, path / "usr/sbin/pgbouncer"


def is_whole(path: Path) -> bool:
    """A killed download leaves no stamp, and in a folder that was moved the stamp names another
    path.
    """
    stamp = path / "made-for"
    return stamp.exists() and stamp.read_text() == str(path)


def unpacked() -> list[Prefix]:
    """All that the cache holds, Debian 13's first."""
    return [
        look(path)
        for source in SOURCES
        for path in sorted(cache.folder().glob(f"{source.name}*/"))
        if is_whole(path)
    ]


def look(path: Path) -> Prefix:
    """The versions are noted next to the programs, as asking these would take longer than opening a
    pair may.
    """
    noted = path / "versions"
    if noted.exists():
        postgres, _, pgbouncer = noted.read_text().partition("\n")
        return Prefix(path, postgres, pgbouncer)
    # An older version of the course unpacked this one.
    folder, bouncer = programs(path)
    postgres, pgbouncer = (
        versions.read(subprocess.run([program, "--version"], capture_output=True, text=True).stdout)
        for program in (folder / "postgres", bouncer)
    )
    with contextlib.suppress(OSError):
        noted.write_text(f"{postgres}\n{pgbouncer}")
    return Prefix(path, postgres, pgbouncer)


def make(apt: Apt, path: Path, package: str) -> None:
    """Fetch and unpack the PostgreSQL of this package ("" for none) and the source's PgBouncer.

    Raises `Unavailable`.
    """
    postgres, pgbouncer = apt.offers.get(package, ""), apt.pgbouncer
    print(
        f"Fetching PostgreSQL {postgres} and PgBouncer {pgbouncer or '(none)'} from "
        f"{apt.source.title} "
        "(about 52 MB, this once) ...",
        flush=True,
    )
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        # Before Debian 13, packages still had files in /lib.
        for name in ("lib", "bin", "sbin"):
            (path / "usr" / name).mkdir(parents=True, exist_ok=True)
            (path / name).symlink_to(f"usr/{name}")
        debs = apt.download([package, *(["pgbouncer"] if pgbouncer else []), "patchelf"])
        with ThreadPoolExecutor(os.cpu_count()) as workers:
            list(workers.map(lambda deb: _unpack(deb, path), debs))
        _relocate(path)
        (path / "versions").write_text(f"{postgres}\n{pgbouncer}")
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(
            f"PostgreSQL could not be unpacked into {path}: {error}\n{ROOM}"
        ) from error
    (path / "made-for").write_text(str(path))


def _unpack(deb: Path, path: Path) -> None:
    """Programs and what they read: no documentation, no translations, no compiler for queries."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
        tar = subprocess.run(
            [
                "tar",
                "-x",
                "--no-same-owner",
                "--keep-directory-symlink",
                "-C",
                path,
                *(f"--exclude={name}" for name in LEFT_OUT),
            ],
            stdin=files.stdout,
            capture_output=True,
            text=True,
        )
    if files.returncode or tar.returncode:
        raise Unavailable(
            f"{deb.name} could not be unpacked into {path}:\n{tar.stderr.strip()[-300:]}\n{ROOM}"
        )


def _relocate(path: Path) -> None:
    """Make the programs use the loader and the libraries of `path`, wherever that is."""
    (libraries,) = path.glob("usr/lib/*-linux-*")
    (loader,) = libraries.glob("ld-linux*.so.*")
    programs = [
        file
        for file in [*path.glob("usr/lib/postgresql/*/bin/*"), *path.glob("usr/sbin/pgbouncer")]
        if not file.is_symlink() and file.read_bytes()[:4] == b"\x7fELF"
    ]
    subprocess.run(
        [
            loader,
            "--library-path",
            libraries,
            path / "usr/bin/patchelf",
            "--set-interpreter",
            loader,
            "--force-rpath",
            "--set-rpath",
            libraries,
            *programs,
        ],
        check=True,
    )
