"""apt with its own state: it resolves, downloads and verifies packages of one source, and
installs nothing.

A source is a suite of Debian's archive, verified with the key that lies next to this file, or all
that the machine's own apt trusts, verified with the machine's own keys.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from . import versions
from .errors import Unavailable
from .versions import Wanted

ROOM = "Make room, or give another folder in the environment: FIREDRILL_CACHE=/some/folder"
# The packages ask for these, and the two servers never load them: apt is told that they are
# installed.
UNUSED = (
    *(f"libllvm{number}" for number in range(14, 40)),
    "perl",
    "libjson-perl",
    "postgresql-common",
    "postgresql-client-common",
    "locales",
    "ssl-cert",
    "tzdata",
    "debconf",
    "adduser",
    "ucf",
    "readline-common",
    "libc-bin",
    "init-system-helpers",
)
# Fingerprint 4158 7F7D B8C7 74BC CF13 1416 762F 67A0 B2C3 9DE4, as Debian publishes it with the
# keys of its archive.
RELEASE_KEY = Path(__file__).with_name("debian-13.asc")
# Fingerprint 04B5 4C3C DCA7 9751 B16B C6B5 2256 29DF 75B1 88BD, out of Debian 13's package
# debian-archive-keyring, which was verified with the key above: suites that are not released yet
# are signed with this one only. Until 2035.
ARCHIVE_KEY = Path(__file__).with_name("debian-13-archive.asc")


class Source(NamedTuple):
    name: str  # of its folder in the cache
    title: str
    suites: tuple[str, ...]  # none: whatever the machine's own apt has
    key: Path | None
    expected: (
        Wanted  # what it had when this was written, so that the likeliest source is asked first
    )


TRIXIE = Source("debian-trixie", "Debian 13", ("trixie",), RELEASE_KEY, Wanted("17", "1.24"))
MACHINE = Source("machine", "this machine's own apt archive", (), None, Wanted())
SOURCES = (
    TRIXIE,
    Source("debian-forky", "Debian testing", ("forky",), ARCHIVE_KEY, Wanted("18", "1.26")),
    Source(
        "debian-experimental",
        "Debian experimental",
        ("sid", "experimental"),
        ARCHIVE_KEY,
        Wanted("19"),
    ),
    MACHINE,
)


def archive() -> str:
    """The address of a Debian archive: `$FIREDRILL_DEBIAN_ARCHIVE`, else the one this machine's own
    apt uses.

    Raises `Unavailable` where there is no apt-get, or it knows no Debian archive (Ubuntu's holds
    other versions).
    """
    check_apt()
    if given := os.environ.get("FIREDRILL_DEBIAN_ARCHIVE"):
        return given
    release = platform.freedesktop_os_release()
    if release.get("ID") == "debian":
        # `apt-get indextargets` would tell, too, but only after an `apt-get update`, which
        # containers often lack.
        planned = subprocess.run(
            ["apt-get", "update", "--print-uris"], text=True, capture_output=True
        ).stdout
        found = re.search(
            rf"^'(\S+?)/dists/{release.get('VERSION_CODENAME')}/InRelease'", planned, re.M
        )
        if found:
            return found[1]
    raise Unavailable(
        f"The apt of this machine ({release.get('PRETTY_NAME', 'unknown')}) knows no Debian "
        "archive.\n"
        "Name a mirror in the environment: FIREDRILL_DEBIAN_ARCHIVE=<address from "
        "debian.org/mirror/list>"
    )


def check_apt() -> None:
    if not shutil.which("apt-get"):
        raise Unavailable(
            f"Looked for apt-get, which fetches Debian's packages: {platform.platform()} has none."
        )


class Apt:
    """One source's packages, with `state` (a folder to be made) as apt's whole world.

    Raises `Unavailable`.
    """

    def __init__(self, state: Path, source: Source = TRIXIE, unused: Iterable[str] = ()) -> None:
        check_apt()
        self.state, self.source = state, source
        self.address = archive() if source.suites else "the addresses of this machine's apt"
        for name in ("lists/partial", "archives/partial", "none"):
            (state / name).mkdir(parents=True)
        architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
        (state / "status").write_text(
            "".join(
                f"Package: {name}\nStatus: install ok installed\nArchitecture: "
                f"{architecture}\nMulti-Arch: foreign\n"
                f"Version: 999:0\nMaintainer: -\nDescription: -\n\n"
                for name in unused
            )
        )
        # An empty Dir::Etc::parts would hide the machine's proxy from apt, so its Acquire settings
        # are copied.
        proxy = subprocess.run(["apt-config", "dump", "Acquire"], text=True, capture_output=True)
        (state / "apt.conf").write_text(
            proxy.stdout
            + f"""
            Dir::State "{state}"; Dir::Cache "{state}"; Dir::Log "{state}";
            Dir::State::status "{state}/status";
            APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};
            APT::Install-Recommends "false"; APT::Sandbox::User "root";
            Acquire::Languages "none"; Acquire::Retries "3"; Debug::NoLocking "true";
            """
            + (self._suites(source.key) if source.key else self._machine())
        )
        self._apt("apt-get", "update", *(["-oAPT::Update::Error-Mode=any"] * bool(source.key)))

    def _suites(self, key: Path) -> str:
        # apt reads no quoted paths in a sources list, and the folder's path may have spaces in it.
        (self.state / "sources.sources").write_text(
            f"Types: deb\nURIs: {self.address}\nSuites: "
            f"{' '.join(self.source.suites)}\nComponents: main\nSigned-By:\n"
            + "".join(f" {line.strip() or '.'}\n" for line in key.read_text().splitlines())
        )
        # apt takes nothing of experimental by itself, and PostgreSQL needs its own library from
        # there.
        (self.state / "preferences").write_text(
            "Package: postgresql* libpq*\nPin: release a=experimental\nPin-Priority: 600\n"
        )
        none = self.state / "none"
        return f"""
            Dir "{self.state}"; Dir::Etc "{self.state}";
            Dir::Etc::sourcelist "{self.state}/sources.sources"; Dir::Etc::main "/dev/null";
            Dir::Etc::sourceparts "{none}"; Dir::Etc::parts "{none}";
            Dir::Etc::preferences "{self.state}/preferences";
            Dir::Etc::preferencesparts "{none}"; Dir::Etc::trustedparts "{none}";
        """

    def _machine(self) -> str:
        """The machine's own sources, keys and pins.

        One of its sources may be out of reach: others may still do.
        """
        return 'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";'

    @cached_property
    def offers(self) -> dict[str, str]:
        """The newest version of each package that can be asked for: {"postgresql-18": "18.6",
        "pgbouncer": "1.26.1"}.
        """
        names = self._apt("apt-cache", "pkgnames", "postgresql-").split()
        servers = [name for name in names if re.fullmatch(r"postgresql-\d+", name)]
        listed = self._apt("apt-cache", "policy", *sorted(servers), "pgbouncer")
        found = re.findall(r"^(\S+):\n(?:  .*\n)*?  Candidate: (\S+)", listed, re.M)
        return {name: versions.read(version) for name, version in found if version != "(none)"}

    @property
    def pgbouncer(self) -> str:
        """The version of its PgBouncer, "" where it has none that is new enough."""
        version = self.offers.get("pgbouncer", "")
        return "" if versions.old("pgbouncer", version) else version

    def download(self, wanted: Iterable[str]) -> list[Path]:
        """The .deb files of these packages and of all that they need, largest first."""
        self._apt("apt-get", "install", "--yes", "--download-only", *wanted)
        return sorted((self.state / "archives").glob("*.deb"), key=lambda deb: -deb.stat().st_size)

    def _apt(self, program: str, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [program, "-q", command, *arguments],
            env=os.environ | {"APT_CONFIG": str(self.state / "apt.conf"), "LC_ALL": "C"},
            text=True,
            capture_output=True,
        )
        if not done.returncode:
            return done.stdout
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or [
            done.stderr.strip()
        ]
        full = "free space" in done.stderr or "No space left" in done.stderr
        advice = (
            ROOM
            if full
            else (
                "Is the network up? Another archive can be named in the environment: "
                "FIREDRILL_DEBIAN_ARCHIVE=<address>. Containers need none: FIREDRILL_SERVERS=docker"
            )
        )
        told = f"{program} {command} could not fetch the servers from {self.address}:"
        raise Unavailable("\n".join([told, *errors[:4], advice]))
