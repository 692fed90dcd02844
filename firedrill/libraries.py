"""Libraries that one lesson runs and the course itself does not need: in a folder of the cache.

    libraries.provide("on_top_of_asyncpg")      # afterwards they can be imported

The lesson's requirements.txt pins each with its hash. Nothing of the course's own environment
changes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from . import releases

TOPICS = Path(__file__).with_name("topics")


def provide(slug: str) -> Path:
    """The folder of this topic's libraries, fetched on first use, at the end of `sys.path`: what
    the environment has itself is found first.

    Raises `Unavailable`.
    """
    requirements = TOPICS / slug / "requirements.txt"
    # Named for the pins as well: after a change of theirs, another folder.
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = releases.installed(
        f"libraries-{slug}-{pins}",
        "--no-deps",
        "--require-hashes",
        "-r",
        str(requirements),
        sorry=lambda said: (
            f"The libraries of {requirements} could not be fetched:\n{said.strip()[-300:]}\n"
            "They come from the package index that pip uses; the folder is kept afterwards. Is "
            "there a network?"
        ),
    )
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return folder


def versions(slug: str) -> dict[str, str]:
    """Of each library of the topic, as requirements.txt pins it."""
    pinned = (TOPICS / slug / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", pinned, re.M))
