"""Other Pythons with all that the course's lock files name, for `lessons_by_version`.

One that is installed (on PATH, or by pyenv), else Debian testing's, unpacked into the
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
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    for found in (on_path, *sorted(pyenv.glob(f"versions/{version}.*/bin/python"))):
        # A shim of pyenv is there for versions that are not chosen, too.
        if found and not subprocess.run([found, "-V"], capture_output=True).returncode:
            return Path(found)
    return None


def _of_testing(version: str) -> Path:
    """It and the C library that it was built for, both as Debian built them.

    patchelf, by which `servers` unpacks PostgreSQL, breaks this program. So a script in its place
    starts it with its own loader, under the script's name: from that name it finds its files, and
    an environment that links to the script.
    """
    root = cache.folder() / f"debian-python-{version}"
    script = root / "usr/bin" / f"python{version}"
    stamp = root / "whole"
    if stamp.exists():
        return script
    shutil.rmtree(root, ignore_errors=True)
    for name in ("lib", "bin", "sbin"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    with tempfile.TemporaryDirectory(dir=cache.folder(), prefix="apt-") as state:
        opened = apt.Apt(Path(state, "apt"), TESTING, apt.UNUSED)
        for deb in opened.download([f"python{version}", f"python{version}-venv"]):
            files = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
            into = ["tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-C", str(root)]
            subprocess.run(into, stdin=files.stdout, check=True)
    (libraries,) = root.glob("usr/lib/*-linux-gnu*")
    (loader,) = libraries.glob("ld-linux*.so.*")
    program = script.rename(script.with_name(f"{script.name}-program"))
    start = f'exec {loader} --library-path {libraries} --argv0 "$0" {program} "$@"'
    script.write_text(f"#!/bin/sh\n{start}\n")
    script.chmod(0o755)
    stamp.touch()
    return script


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


def path_with_uv() -> str:
    """$PATH for these environments, which have no pip: lessons fetch releases of asyncpg by uv."""
    return os.pathsep.join([str(Path(_program()[0]).parent), os.environ.get("PATH", os.defpath)])


def _program() -> list[str | Path]:
    if command := uv.program(REPOSITORY / ".venv/uv"):
        return command
    raise Unavailable("There is no uv. `make tester` fetches one.")
