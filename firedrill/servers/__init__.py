"""PostgreSQL and PgBouncer for one notebook, to be stopped, paused and killed at will.

    stack = servers.open()
    conn = await asyncpg.connect(stack.pgbouncer.dsn("transaction"))
    with stack.postgres.down("kill"): ...
    stack.close()

Three kinds: `embedded` (Debian's packages in a private folder), `docker` (docker-compose.yml),
`host` (what is installed).

The default pair is PostgreSQL 17 and PgBouncer 1.24. To ask for other versions, set
$FIREDRILL_POSTGRES and $FIREDRILL_PGBOUNCER, or call `open(postgres="18", pgbouncer="1.26")`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextvars import ContextVar

from .. import notebook
from . import cache, debian, docker, host, versions
from .errors import PortTaken, Unavailable
from .local import EmbeddedStack, HostStack
from .server import Server
from .stack import Stack
from .versions import Wanted

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
    "fetch",
    "host",
    "on_open",
    "open",
    "open_for_notebook",
]

KINDS: dict[str, type[Stack]] = {
    kind.kind: kind for kind in (EmbeddedStack, docker.DockerStack, HostStack)
}

# Called with each pair that `open()` has opened: a check knows its servers by it.
on_open: ContextVar[Callable[[Stack], None] | None] = ContextVar("on_open", default=None)
_notebook: Stack | None = None


def open(
    kind: str | None = None, *, postgres: str | None = None, pgbouncer: str | None = None
) -> Stack:
    """A new pair of `kind`, or of the kind that suits this machine. Raises `Unavailable`.

    `postgres` and `pgbouncer` are versions ("18", "1.26"); without, the environment's count, and
    then the default pair.
    """
    wanted = versions.wanted(postgres, pgbouncer)
    stack = KINDS[kind or choose(wanted)[0]].open(wanted)
    if notice := on_open.get():
        notice(stack)
    return stack


def fetch() -> None:
    """Download and unpack now what `open()` would. Raises `Unavailable`."""
    wanted = versions.wanted()
    if choose(wanted)[0] == "embedded":
        debian.programs(wanted)


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


def choose(wanted: Wanted | None = None) -> tuple[str, str]:
    """The kind of servers, and why.

    `FIREDRILL_SERVERS` decides; else what the machine has. Raises `Unavailable`.
    """
    if asked := os.environ.get("FIREDRILL_SERVERS"):
        if asked not in KINDS:
            raise Unavailable(
                f"FIREDRILL_SERVERS is {asked!r}, which is no kind of servers. It takes: "
                f"{', '.join(KINDS)}."
            )
        return asked, "FIREDRILL_SERVERS says so"
    wanted = wanted or versions.wanted()
    if docker.is_up() and docker.has(wanted):
        return "docker", "`docker compose up` is running in this repository"
    if ready := debian.ready():
        return "embedded", f"unpacked in {ready}"
    tried = []
    try:
        debian.check()
        return "embedded", "apt-get can fetch Debian's packages"
    except Unavailable as error:
        tried.append(f"embedded: {error}")
    try:
        docker.check()
        if docker.has(wanted):
            return "docker", "a Docker engine answers"
        tried.append(f"docker: {docker.OTHER_VERSIONS}")
    except Unavailable as error:
        tried.append(f"docker: {error}")
    try:
        host.find(wanted)
        return "host", "PostgreSQL and PgBouncer are installed"
    except Unavailable as error:
        tried.append(f"host: {error}")
    raise Unavailable(
        "No way to run PostgreSQL and PgBouncer was found.\n"
        + "\n".join(f"- {way}" for way in tried)
    )
