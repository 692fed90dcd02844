"""PostgreSQL 17 with contrib and PgBouncer out of Debian 13, unpacked into a private folder.

Nothing is installed and nobody needs to be root. apt works on a state of its own: it resolves, downloads and verifies
against the release key that lies beside this file. The packages bring their own C library, so the host's age does not
matter. 52 MB to download, 90 MB on disk.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import cache
from .errors import Unavailable

SUITE = "trixie"
# Fingerprint 4158 7F7D B8C7 74BC CF13 1416 762F 67A0 B2C3 9DE4, as Debian publishes it with the keys of its archive.
KEY = Path(__file__).with_name("debian-13.asc")
WANTED = ("postgresql-17", "pgbouncer", "patchelf")
# The packages ask for these, and the two servers never load them: apt is told that they are installed.
UNUSED = (
    "libllvm19",
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
NEEDED_BYTES = 250 << 20
ROOM = "Make room, or give another folder in the environment: FIREDRILL_CACHE=/some/folder"


def prefix() -> Path:
    return cache.folder() / f"debian-{SUITE}"


def is_ready() -> bool:
    """The path is inside the programs, so a folder that was moved does not count."""
    stamp = prefix() / "made-for"
    return stamp.exists() and stamp.read_text() == str(prefix())


def provide() -> Path:
    """The folder that holds the programs, made on first use. Whatever a killed download left is made anew.

    Raises `Unavailable`.
    """
    path = prefix()
    with cache.locked(path):
        if not is_ready():
            address = archive()
            _check_room(path.parent)
            print(
                "Fetching PostgreSQL 17 and PgBouncer from Debian 13 (52 MB, this once) ...",
                flush=True,
            )
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            try:
                with (
                    tempfile.TemporaryDirectory(dir=path.parent, prefix="apt-") as state,
                    ThreadPoolExecutor(os.cpu_count()) as workers,
                ):
                    list(
                        workers.map(
                            lambda deb: _unpack(deb, path),
                            download(Path(state), address, WANTED, UNUSED),
                        )
                    )
                _relocate(path)
            except (OSError, subprocess.SubprocessError) as error:
                raise Unavailable(
                    f"PostgreSQL could not be unpacked into {path}: {error}\n{ROOM}"
                ) from error
            (path / "made-for").write_text(str(path))
    return path


def _check_room(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < NEEDED_BYTES:
        raise Unavailable(
            f"The servers need {NEEDED_BYTES >> 20} MB of disk once; {path} has {free >> 20} MB left.\n{ROOM}"
        )


def archive() -> str:
    """The address of a Debian archive: `$FIREDRILL_DEBIAN_ARCHIVE`, else the one this machine's own apt uses.

    Raises `Unavailable` where there is no apt-get, or it knows no Debian archive (Ubuntu's holds other versions).
    """
    if not shutil.which("apt-get"):
        raise Unavailable(
            f"Looked for apt-get, which fetches Debian's packages: {platform.platform()} has none."
        )
    if given := os.environ.get("FIREDRILL_DEBIAN_ARCHIVE"):
        return given
    release = platform.freedesktop_os_release()
    if release.get("ID") == "debian":
        # `apt-get indextargets` would tell, too, but only after an `apt-get update`, which containers often lack.
        planned = subprocess.run(
            ["apt-get", "update", "--print-uris"], text=True, capture_output=True
        ).stdout
        found = re.search(
            rf"^'(\S+?)/dists/{release.get('VERSION_CODENAME')}/InRelease'", planned, re.M
        )
        if found:
            return found[1]
    raise Unavailable(
        f"The apt of this machine ({release.get('PRETTY_NAME', 'unknown')}) knows no Debian archive.\n"
        "Name a mirror in the environment: FIREDRILL_DEBIAN_ARCHIVE=<address from debian.org/mirror/list>"
    )


def download(
    state: Path, address: str, wanted: Iterable[str], unused: Iterable[str] = ()
) -> list[Path]:
    """Resolve, download and verify packages, with `state` (an empty folder) as apt's whole world.

    Returns the .deb files, largest first. Raises `Unavailable` with apt's own words.
    """
    for name in ("lists/partial", "archives/partial", "none"):
        (state / name).mkdir(parents=True)
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    (state / "status").write_text(
        "".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nMulti-Arch: foreign\n"
            f"Version: 999:0\nMaintainer: -\nDescription: -\n\n"
            for name in unused
        )
    )
    # apt reads no quoted paths in a sources list, and the folder above may have spaces in its name.
    (state / "sources.sources").write_text(
        f"Types: deb\nURIs: {address}\nSuites: {SUITE}\nComponents: main\nSigned-By:\n"
        + "".join(f" {line.strip() or '.'}\n" for line in KEY.read_text().splitlines())
    )
    # An empty Dir::Etc::parts would hide the machine's proxy from apt, so its Acquire settings are copied.
    proxy = subprocess.run(["apt-config", "dump", "Acquire"], text=True, capture_output=True).stdout
    (state / "apt.conf").write_text(
        proxy
        + f"""
        Dir "{state}"; Dir::Etc "{state}"; Dir::State "{state}"; Dir::Cache "{state}"; Dir::Log "{state}";
        Dir::State::status "{state}/status"; Dir::Etc::sourcelist "{state}/sources.sources"; Dir::Etc::main "/dev/null";
        Dir::Etc::sourceparts "{state}/none"; Dir::Etc::parts "{state}/none";
        Dir::Etc::preferencesparts "{state}/none"; Dir::Etc::trustedparts "{state}/none";
        APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }}; APT::Install-Recommends "false";
        APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3"; Debug::NoLocking "true";
    """
    )
    environment = os.environ | {"APT_CONFIG": str(state / "apt.conf"), "LC_ALL": "C"}
    for arguments in (
        ["update", "-oAPT::Update::Error-Mode=any"],
        ["install", "--yes", "--download-only", *wanted],
    ):
        done = subprocess.run(
            ["apt-get", "-q", *arguments], env=environment, text=True, capture_output=True
        )
        if done.returncode:
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
            told = f"apt-get {arguments[0]} could not fetch the servers from {address}:"
            raise Unavailable("\n".join([told, *errors[:4], advice]))
    return sorted((state / "archives").glob("*.deb"), key=lambda deb: -deb.stat().st_size)


def _unpack(deb: Path, path: Path) -> None:
    """Programs and what they read: no documentation, no translations, no compiler for queries."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as files:
        tar = subprocess.run(
            [
                "tar",
                "-x",
                "--no-same-owner",
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
    """Make the programs use the loader and the libraries beside them, wherever `path` is."""
    (libraries,) = path.glob("usr/lib/*-linux-*")
    (loader,) = libraries.glob("ld-linux*.so.*")
    programs = [
        file
        for file in [*path.glob("usr/lib/postgresql/*/bin/*"), path / "usr/sbin/pgbouncer"]
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
