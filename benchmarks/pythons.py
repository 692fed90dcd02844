"""Other Pythons with all that the course's lock files name, for `lessons_by_version`.

One that is installed (found by uv: on PATH, by pyenv), else Debian testing's, unpacked into the
cache. Each gets an environment in the cache, and another one when a lock file changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from firedrill.authoring import uv
from firedrill.servers import Unavailable, apt, cache

from .row import REPOSITORY

LOCKS = ("requirements.lock", "tests/requirements.lock")
TESTING = next(source for source in apt.SOURCES if source.name == "debian-forky")


def provide(version: str) -> Path:
    """The program `python` of an environment of this version, such as "3.13".

    Raises `Unavailable`.
    """
    made_of = [*(REPOSITORY / lock for lock in LOCKS), REPOSITORY / "pyproject.toml"]
    key = str(REPOSITORY).encode() + b"".join(file.read_bytes() for file in made_of)
    path = cache.folder() / f"python-{version}-{hashlib.sha256(key).hexdigest()[:8]}"
    stamp, program = path / "whole", path / "bin/python"
    with cache.locked(path):
        if not stamp.exists():
            python = _installed(version) or _of_testing(version)
            _uv("venv", "--quiet", "--clear", f"--python={python}", str(path))
            install = ("pip", "install", "--quiet", f"--python={program}")
            for lock in LOCKS:
                _uv(*install, "--require-hashes", "-r", lock)
            _uv(*install, "--no-deps", "-e", ".")
            stamp.touch()
    return program


def _installed(version: str) -> Path | None:
    found = subprocess.run(
        [*_program(), "python", "find", "--no-python-downloads", "--system", version],
        text=True,
        capture_output=True,
        env=os.environ | {"VIRTUAL_ENV": ""},
    )
    return Path(found.stdout.strip()) if not found.returncode else None


def _of_testing(version: str) -> Path:
    """It and the C library that it was built for, as `servers` unpacks PostgreSQL."""
    root = cache.folder() / f"debian-python-{version}"
    program = root / f"usr/bin/python{version}"
    if program.exists():
        return program
    fresh = root.with_name(f"{root.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for name in ("lib", "bin", "sbin"):
        (fresh / "usr" / name).mkdir(parents=True)
        (fresh / name).symlink_to(f"usr/{name}")
    with tempfile.TemporaryDirectory(dir=cache.folder(), prefix="apt-") as state:
        opened = apt.Apt(Path(state, "apt"), TESTING, apt.UNUSED)
        for deb in opened.download([f"python{version}", "patchelf"]):
            subprocess.run(["dpkg-deb", "-x", deb, fresh], check=True)
    os.rename(fresh, root)
    (libraries,) = root.glob("usr/lib/*-linux-gnu*")
    (loader,) = libraries.glob("ld-linux*.so.*")
    where: list[str | Path] = [
        "--set-interpreter",
        loader,
        "--force-rpath",
        "--set-rpath",
        libraries,
    ]
    patchelf = root / "usr/bin/patchelf"
    subprocess.run([loader, "--library-path", libraries, patchelf, *where, program], check=True)
    return program


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [*_program(), *arguments],
        cwd=REPOSITORY,
        env=uv.environment(),
        text=True,
        capture_output=True,
    )
    if done.returncode:
        raise Unavailable(f"uv {arguments[0]}: {done.stderr.strip().splitlines()[-1]}")


def _program() -> list[str | Path]:
    if command := uv.program(REPOSITORY / ".venv/uv"):
        return command
    raise Unavailable("There is no uv. `make tester` fetches one.")
