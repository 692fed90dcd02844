"""The one folder outside the repository that the course writes to: downloaded servers, the
template, running pairs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import Unavailable

IS_ROOT = os.geteuid() == 0
# PostgreSQL refuses to run as root, so root runs the servers as nobody.
SERVER_USER = pwd.getpwnam("nobody") if IS_ROOT else None


def folder() -> Path:
    """`$FIREDRILL_CACHE`, or /var/cache/firedrill for root (nobody cannot read below /root), or
    ~/.cache/firedrill.

    Raises `Unavailable` where it cannot be written to.
    """
    if chosen := os.environ.get("FIREDRILL_CACHE"):
        path = Path(chosen).absolute()
    elif IS_ROOT:
        path = Path("/var/cache/firedrill")
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "firedrill"
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / "run").mkdir(exist_ok=True)
        writable = os.access(path, os.W_OK) and os.access(path / "run", os.W_OK)
    except OSError as error:
        raise _not_writable(path, error.strerror) from error
    if not writable:
        raise _not_writable(path, "no permission")
    closed = [
        parent
        for parent in (path, *path.parents)
        if SERVER_USER and not parent.stat().st_mode & stat.S_IXOTH
    ]
    if closed:
        raise Unavailable(
            f"The servers lie in {path}. Root runs them as nobody, who may not enter "
            f"{closed[-1]}.\n"
            "Give a folder that everybody may enter in the environment: "
            "FIREDRILL_CACHE=/some/folder"
        )
    return path


def _not_writable(path: Path, why: str | None) -> Unavailable:
    return Unavailable(
        f"The course keeps its servers in {path}, which cannot be written to ({why}).\n"
        "Give another folder with 250 MB of room in the environment: FIREDRILL_CACHE=/some/folder"
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time: several notebooks may be the first to need what `path` is going to
    hold."""
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
