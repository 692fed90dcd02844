"""PostgreSQL and PgBouncer for one notebook, to be stopped, paused and killed at will.

    stack = servers.open()
    conn = await asyncpg.connect(stack.pgbouncer.dsn("transaction"))
    with stack.postgres.down("kill"): ...
    stack.close()

Three kinds: `embedded` (Debian 13's packages in a private folder), `docker` (docker-compose.yml), `host` (what is installed).
"""

from __future__ import annotations

import contextlib
import os
import shutil

from .. import notebook
from . import cache, debian, docker, host
from .errors import PortTaken, Unavailable
from .local import EmbeddedStack, HostStack
from .server import Server
from .stack import Stack

__all__ = [
    "KINDS",
    "PortTaken",
    "Server",
    "Stack",
    "Unavailable",
    "cache",
    "choose",
    "debian",
    "docker",
    "host",
    "open",
    "open_for_notebook",
]

KINDS: dict[str, type[Stack]] = {
    kind.kind: kind for kind in (EmbeddedStack, docker.DockerStack, HostStack)
}

_notebook: Stack | None = None


def open(kind: str | None = None) -> Stack:
    """A new pair of `kind`, or of the kind that suits this machine. Raises `Unavailable`."""
    return KINDS[kind or choose()[0]].open()


def open_for_notebook() -> Stack:
    """As `open()`, once for each notebook. Run again, it closes the previous pair.

    From then on, JupyterLab's Stop button also ends a cell that only waits.
    """
    global _notebook
    notebook.wake_the_loop()
    if _notebook:
        with contextlib.suppress(ValueError):  # it was closed by the lesson's last cell
            _notebook.before_close.remove(notebook.note_reading)
        _notebook.close()
    _notebook = open()
    _notebook.before_close.append(notebook.note_reading)
    return _notebook


def choose() -> tuple[str, str]:
    """The kind of servers, and why. `FIREDRILL_SERVERS` decides; else what the machine has. Raises `Unavailable`."""
    if asked := os.environ.get("FIREDRILL_SERVERS"):
        if asked not in KINDS:
            raise Unavailable(
                f"FIREDRILL_SERVERS is {asked!r}, which is no kind of servers. It takes: {', '.join(KINDS)}."
            )
        return asked, "FIREDRILL_SERVERS says so"
    if docker.is_up():
        return "docker", "`docker compose up` is running in this repository"
    if debian.is_ready():
        return "embedded", f"unpacked in {debian.prefix()}"
    tried = []
    if shutil.which("apt-get"):
        try:
            debian.archive()
            return "embedded", "apt-get can fetch Debian's packages"
        except Unavailable as error:
            tried.append(f"embedded: {error}")
    else:
        tried.append("embedded: needs apt-get, which Debian, Ubuntu and WSL have.")
    try:
        docker.check()
        return "docker", "a Docker engine answers"
    except Unavailable as error:
        tried.append(f"docker: {error}")
    try:
        host.find()
        return "host", "PostgreSQL and PgBouncer are installed"
    except Unavailable as error:
        tried.append(f"host: {error}")
    raise Unavailable(
        "No way to run PostgreSQL and PgBouncer was found.\n"
        + "\n".join(f"- {way}" for way in tried)
    )
