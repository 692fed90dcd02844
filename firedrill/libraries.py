"""Libraries that one lesson runs and the course itself does not need: in a folder of the cache.

    libraries.provide("on_top_of_asyncpg")      # afterwards they can be imported

The lesson's requirements.txt pins each with its hash. Nothing of the course's own environment
changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from . import releases
from .servers import Unavailable, cache

TOPICS = Path(__file__).with_name("topics")


def provide(slug: str) -> Path:
    """The folder of this topic's libraries, fetched on first use, at the end of `sys.path`: what
    the environment has itself is found first.

    Raises `Unavailable`.
    """
    folder = _installed(TOPICS / slug / "requirements.txt", slug)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


def versions(slug: str) -> dict[str, str]:
    """Of each library of the topic, as requirements.txt pins it."""
    pinned = (TOPICS / slug / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", pinned, re.M))


def _installed(requirements: Path, slug: str) -> Path:
    """Named for the pins as well: after a change of theirs, another folder."""
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    path = cache.folder() / f"libraries-{slug}-{pins}-py{releases.PYTHON}"
    with cache.locked(path):
        # Renamed only when complete: pip may be killed.
        if not path.exists():
            fresh = path.with_name(f"{path.name}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            _install(requirements, fresh)
            os.rename(fresh, path)
    return path


def _install(requirements: Path, folder: Path) -> None:
    pins = ["--no-deps", "--require-hashes", "-r", str(requirements)]
    done = subprocess.run(
        [*releases.installer(), "--quiet", "--only-binary=:all:", "--target", folder, *pins],
        text=True,
        capture_output=True,
    )
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable(
            f"The libraries of {requirements} could not be fetched:\n"
            f"{done.stderr.strip()[-300:]}\n"
            "They come from the package index that pip uses; the folder is kept afterwards. Is "
            "there a network?"
        )
