"""`Stack`: a private PostgreSQL with a PgBouncer before it, which ends with the process that opened
it, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

from . import cache
from .errors import PortTaken
from .route import Address, reroute
from .server import Ports, Server
from .versions import Wanted

# A shell that outlives its owner by a moment: its standard input ends when the owner does, by kill
# -9 too.
# PR_SET_PDEATHSIG would not do: it fires when the thread that started the server ends.
WATCHDOG = 'while read -r line; do :; done; . ./cleanup.sh; cd / && rm -rf "$1"'


class Stack(ABC):
    """Open one with `servers.open()` (any kind), or with a kind's class. Also a context manager."""

    kind: ClassVar[str]
    postgres: Server
    pgbouncer: Server
    address: Address  # of PostgreSQL, as PgBouncer sees it
    _ports: Ports | None = None
    is_kept = False  # beyond its `with` block: what has opened it will close it

    def __init__(self, wanted: Wanted = Wanted()) -> None:  # noqa: B008  a tuple
        """Raises `Unavailable`; nothing is left behind then."""
        self.wanted = wanted
        self.before_close: list[
            Callable[[], None]
        ] = []  # what stands on this pair and has to end first
        run = cache.folder().resolve() / "run"
        with cache.locked(run / "sweep"):
            _sweep(run)
            self.folder = run / f"{self.kind}-{secrets.token_hex(3)}"
            # It begins to watch before there is anything to leave behind.
            self.folder.mkdir(mode=0o700)
            self._owner = open(self.folder / "owner", "w")  # noqa: SIM115  held for life, see _sweep
            fcntl.flock(self._owner, fcntl.LOCK_EX)
            print(os.getpid(), file=self._owner, flush=True)
        (self.folder / "cleanup.sh").write_text(self._cleanup())
        self._watchdog = subprocess.Popen(
            ["sh", "-c", WATCHDOG, "sh", str(self.folder)],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, wanted: Wanted = Wanted()) -> Self:  # noqa: B008  a tuple
        """As the constructor; a port that another program took meanwhile is given up for another
        one."""
        for _ in range(4):
            with contextlib.suppress(PortTaken):
                return cls(wanted)
        return cls(wanted)

    @abstractmethod
    def _open(self) -> None:
        """Set `postgres` and `pgbouncer` and start them."""

    @abstractmethod
    def _cleanup(self) -> str:
        """A shell script, run in `folder`, that ends all that `_open` may have started."""

    @abstractmethod
    def _reap(self) -> None:
        """Called when the cleanup is over: collect what were child processes."""

    @abstractmethod
    def proxy_addresses(self) -> list[tuple[str, str]]:
        """Where a proxy in this process may listen for PgBouncer, and how PgBouncer then calls
        that: the first that works."""

    def pgbouncer_reaches(self, address: Address) -> bool:
        return True

    def route(self, address: Address | None = None) -> None:
        """Let PgBouncer look for PostgreSQL at `address`, or where it is. It holds over a restart
        of PgBouncer.

        Server connections that are in use stay until they are given back. Raises `Unavailable`.
        """
        reroute(self.pgbouncer, self.folder / "pgbouncer.ini", address or self.address)

    @property
    def is_open(self) -> bool:
        return self._watchdog.poll() is None

    def close(self) -> None:
        for end in [*self.before_close]:
            end()
        if self._watchdog.stdin and not self._watchdog.stdin.closed:
            self._watchdog.stdin.close()
            self._watchdog.wait(timeout=60)
            self._reap()
            if self._ports:
                self._ports.close()
            self._owner.close()

    def __repr__(self) -> str:
        if not self.is_open:
            return "PostgreSQL and PgBouncer: closed"
        return (
            f"PostgreSQL {self.postgres.version} and PgBouncer {self.pgbouncer.version}, a pair "
            "of your own: "
            f"{self.postgres.status}, {self.pgbouncer.status}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_kept:
            self.close()


def leftovers(run: Path) -> list[Path]:
    """Folders of pairs whose owner is gone.

    There are none unless a watchdog died too: a power cut, say.
    """
    found = []
    for owner in run.glob("*/owner"):
        with contextlib.suppress(OSError), open(owner) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(owner.parent)
    return found


def _sweep(run: Path) -> None:
    for folder in leftovers(run):
        subprocess.run(["sh", "-c", ". ./cleanup.sh"], cwd=folder, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
