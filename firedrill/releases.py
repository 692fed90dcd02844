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
from collections.abc import Callable
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

    def sorry(said: str) -> str:
        errors = [line for line in said.splitlines() if line.startswith("ERROR")]
        return (
            f"There is no asyncpg {version} that is built for Python {PYTHON}:\n"
            + "\n".join(errors[-2:] or [said.strip()[-300:]])
            + "\nTake another release, or another Python."
        )

    return installed(f"asyncpg-{version}", f"asyncpg=={version}", sorry=sorry)


def installed(name: str, *packages: str, sorry: Callable[[str], str]) -> Path:
    """The folder of the cache with what pip calls `packages`, for this Python, fetched on first
    use. `sorry` makes the error's text from what pip has said.

    Only wheels: a build needs a compiler, and fails on a Python newer than the release.

    Raises `Unavailable`.
    """
    path = cache.folder() / f"{name}-py{PYTHON}"
    with cache.locked(path):
        if not path.exists():
            # Renamed only when complete: pip may be killed.
            fresh = path.with_name(f"{path.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            wheels = ["--quiet", "--only-binary=:all:", "--target", str(fresh)]
            done = subprocess.run(
                [*installer(), *wheels, *packages], text=True, capture_output=True
            )
            if done.returncode:
                shutil.rmtree(fresh, ignore_errors=True)
                raise Unavailable(sorry(done.stderr))
            os.rename(fresh, path)
    return path


def installer() -> list[str]:
    """The command that installs packages for this Python: pip's, or uv's.

    Raises `Unavailable`.
    """
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    if uv := shutil.which("uv", path=os.pathsep.join(PLACES)):
        return [uv, "pip", "install", f"--python={sys.executable}"]
    raise Unavailable("Looked for pip or uv, which fetch packages: found neither.")
