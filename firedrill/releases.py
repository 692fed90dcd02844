"""Other releases of asyncpg, each in a folder of the cache: for `worker` and for comparisons.

    folder = releases.provide("0.30.0")         # put it first in PYTHONPATH

Nothing of the course's own environment changes.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .servers import Unavailable, cache

# Where a uv may be: `make` fetches one into .venv/uv if the machine has none.
PLACES = (f"{sys.prefix}/bin", f"{sys.prefix}/uv/bin", os.environ.get("PATH", os.defpath))
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def provide(version: str) -> Path:
    """The folder of this release of asyncpg for this Python, fetched by pip on first use.

    Raises `Unavailable`.
    """
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise Unavailable(f"{version!r} is no release of asyncpg: it takes one such as 0.30.0.")
    if version.count(".") == 1:
        version += ".0"
    path = cache.folder() / f"asyncpg-{version}-py{PYTHON}"
    with cache.locked(path):
        # Renamed only when complete: pip may be killed.
        if not path.exists():
            fresh = path.with_name(f"{path.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            _install(version, fresh)
            os.rename(fresh, path)
    return path


def _install(version: str, folder: Path) -> None:
    """Only a wheel: a build needs a compiler, and fails on a Python newer than the release."""
    done = subprocess.run(
        [*installer(), "--quiet", "--only-binary=:all:", "--target", folder, f"asyncpg=={version}"],
        text=True,
        capture_output=True,
    )
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise Unavailable(
            f"There is no asyncpg {version} that is built for Python {PYTHON}:\n"
            + "\n".join(errors[-2:] or [done.stderr.strip()[-300:]])
            + "\nTake another release, or another Python."
        )


def installer() -> list[str]:
    """The command that installs packages for this Python: pip's, or uv's.

    Raises `Unavailable`.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    if uv := shutil.which("uv", path=os.pathsep.join(PLACES)):
        return [uv, "pip", "install", f"--python={sys.executable}"]
    raise Unavailable("Looked for pip or uv, which fetch packages: found neither.")
