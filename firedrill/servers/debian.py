"""PostgreSQL with contrib and PgBouncer out of Debian's packages, each pair unpacked into a private
folder of the cache.

Nothing is installed and nobody needs to be root. The default pair is Debian 13's, 17 and 1.24: 52
MB to download, 90 MB on disk. Others lie next to it, and programs of two folders make a pair, too.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cache, prefixes, versions
from .apt import MACHINE, ROOM, SOURCES, TRIXIE, UNUSED, Apt, Source, archive, check_apt
from .errors import Unavailable
from .prefixes import is_whole, make, unpacked
from .versions import TITLES, Wanted, fits

NEEDED_BYTES = 250 << 20


def prefix() -> Path:
    """Where the default pair is unpacked."""
    return cache.folder() / TRIXIE.name


def ready() -> Path | None:
    """The folder of the default pair, or of the machine's own, if that is unpacked."""
    if is_whole(prefix()):
        return prefix()
    return _of_machine()


def check() -> None:
    """Can the default pair be fetched, as far as can be told without a download? Raises
    `Unavailable`.
    """
    try:
        archive()
    except Unavailable:
        check_apt()
        listed = subprocess.run(
            ["apt-cache", "policy", "pgbouncer"], text=True, capture_output=True
        )
        found = re.search(r"Candidate: (\S+)", listed.stdout)
        # A machine that has not run `apt-get update` yet lists nothing.
        if found and versions.old("pgbouncer", versions.read(found[1])):
            raise Unavailable(_too_old(f"PgBouncer {versions.read(found[1])}")) from None


def _of_machine() -> Path | None:
    """A relative of Debian (Ubuntu, Mint) has its own pair as the default."""
    own = [
        one
        for one in unpacked()
        if one.path.name.startswith(MACHINE.name) and one.postgres and one.pgbouncer
    ]
    return max(own, key=lambda one: versions.key(one.postgres)).path if own else None


def provide() -> Path:
    """The folder that holds the default pair, made on first use.

    Whatever a killed download left is made again.

    Raises `Unavailable`.
    """
    path = prefix()
    if is_whole(path):
        return path
    try:
        archive()
    except Unavailable:
        check_apt()
        return _of_machine() or _fetch_from_machine()
    with cache.locked(path):
        if not is_whole(path):
            _check_room()
            with _opened(TRIXIE) as apt:
                make(apt, path, "postgresql-17")
    return path


def _fetch_from_machine() -> Path:
    """What the machine's own apt trusts, on a system that is no Debian. Raises `Unavailable`."""
    _check_room()
    with _opened(MACHINE) as apt:
        postgres = _best(apt.offers, None)
        if postgres and apt.pgbouncer:
            return _provide_from(apt, postgres)
        raise Unavailable(_too_old(_told(apt.offers)))


def _too_old(found: str) -> str:
    return (
        f"The apt archive of this machine has {found}. The course needs PostgreSQL 15 or newer "
        "and PgBouncer 1.22.1 or "
        f"newer.\n{versions.WHY['pgbouncer']}\nDebian's archive has both: name a mirror in the "
        "environment, "
        "FIREDRILL_DEBIAN_ARCHIVE=<address from debian.org/mirror/list>"
    )


def programs(wanted: Wanted) -> tuple[Path, Path]:
    """The folder with postgres and the program pgbouncer, fetched on first use.

    Raises `Unavailable`.
    """
    if wanted == Wanted():
        return prefixes.programs(provide())
    of_postgres, of_pgbouncer = _with("postgres", wanted), _with("pgbouncer", wanted)
    return prefixes.programs(of_postgres)[0], prefixes.programs(of_pgbouncer)[1]


def _with(program: str, wanted: Wanted) -> Path:
    """A folder of which one program has the version that was asked for; where none was, it is the
    default's.
    """
    asked = getattr(wanted, program)
    if asked is None:
        return provide()
    if found := _in_cache(program, asked):
        return found
    check_apt()
    # One process at a time asks the sources: another may be about to unpack just this.
    with cache.locked(cache.folder() / "versions"):
        return _in_cache(program, asked) or _fetch(program, asked)


def _in_cache(program: str, asked: str) -> Path | None:
    fitting = [one for one in unpacked() if fits(asked, getattr(one, program))]
    newest = max(fitting, key=lambda one: versions.key(getattr(one, program)), default=None)
    return newest and newest.path


def _fetch(program: str, asked: str) -> Path:
    """From the first source that has it, beginning with the likeliest.

    Raises `Unavailable` with what each one has.
    """
    _check_room()
    seen: list[str] = []
    for source in sorted(
        SOURCES, key=lambda one: not fits(asked, getattr(one.expected, program) or "")
    ):
        with contextlib.ExitStack() as opened:
            try:
                apt = opened.enter_context(_opened(source))
                offers = apt.offers
            except Unavailable as error:
                seen.append(f"{source.title}: {' '.join(str(error).splitlines()[:2])}")
                continue
            package = _best(offers, asked) if program == "postgres" else "pgbouncer"
            if fits(asked, apt.pgbouncer if package == "pgbouncer" else offers.get(package, "")):
                return _provide_from(apt, package if program == "postgres" else None)
            seen.append(f"{source.title} has {_told(offers)}")
    raise Unavailable(
        f"Asked for {TITLES[program]} {asked}, and no source has it.\n"
        + "\n".join(f"- {line}" for line in seen)
    )


def _best(offers: dict[str, str], asked: str | None) -> str:
    """The package of the newest PostgreSQL that fits, "" if none does."""
    fitting = [
        package
        for package, version in offers.items()
        if package != "pgbouncer" and fits(asked, version) and not versions.old("postgres", version)
    ]
    return max(fitting, key=lambda package: versions.key(offers[package]), default="")


def _told(offers: dict[str, str]) -> str:
    servers = ", ".join(version for package, version in offers.items() if package != "pgbouncer")
    return f"PostgreSQL {servers or '(none)'} and PgBouncer {offers.get('pgbouncer', '(none)')}"


def _check_room() -> None:
    free = shutil.disk_usage(cache.folder()).free
    if free < NEEDED_BYTES:
        raise Unavailable(
            f"The servers need {NEEDED_BYTES >> 20} MB of disk once; {cache.folder()} has "
            f"{free >> 20} MB left.\n{ROOM}"
        )


def had() -> list[str]:
    """A line for each source: what it has now. Each is asked, which downloads its index, 10 MB."""

    def ask(source: Source) -> str:
        try:
            with _opened(source) as apt:
                return f"{source.title}: {_told(apt.offers)}"
        except Unavailable as error:
            return f"{source.title}: {' '.join(str(error).splitlines()[:2])}"

    check_apt()
    with ThreadPoolExecutor() as workers:
        return list(workers.map(ask, SOURCES))


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Apt]:
    with tempfile.TemporaryDirectory(dir=cache.folder(), prefix="apt-") as state:
        yield Apt(Path(state), source, UNUSED)


def _provide_from(apt: Apt, package: str | None) -> Path:
    """Its PostgreSQL of this package (the newest, for None) and its PgBouncer, in a folder with
    their versions' name.
    """
    package = package or _best(apt.offers, None)
    path = cache.folder() / f"{apt.source.name}-{apt.offers.get(package, '')}-{apt.pgbouncer}"
    if apt.source == TRIXIE and not is_whole(prefix()):
        path = prefix()  # it is the default pair
    with cache.locked(path):
        if not is_whole(path):
            make(apt, path, package)
    return path
