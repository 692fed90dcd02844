"""`Server`: one PostgreSQL or PgBouncer that a lesson may stop, pause and kill.

Every kind of server offers the same.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, Self
from urllib.parse import quote

from .errors import Unavailable

DATABASE = ROLE = "encore"
SUPERUSER = "postgres"
POOL_MODES = ("session", "transaction", "statement")  # also the names of PgBouncer's databases

# seconds between two looks at a server that starts: for a container each takes a process
LOOK = 0.25

Status = Literal["running", "paused", "stopped"]


class Server(ABC):
    """Every operation may be repeated, and returns when it has taken effect.

    Port and data outlive a restart.
    """

    host = "127.0.0.1"
    try_again = 0.003  # seconds between two attempts to reach a server that starts

    def __init__(self, name: str, port: int, database: str, password: str) -> None:
        self.name, self.port, self.database, self.password = name, port, database, password

    def __repr__(self) -> str:
        return f"<{self.name} {self.version}: {self.status}>"

    @property
    @abstractmethod
    def status(self) -> Status: ...

    @property
    @abstractmethod
    def version(self) -> str:
        """Without the minor release of PostgreSQL: "17", "1.24"."""

    @abstractmethod
    def log(self) -> str:
        """All that the server has written to its log so far."""

    @abstractmethod
    def sh(self, command: str) -> None:
        """Run a shell command where the server runs, as its user, in its data directory: for what
        SQL cannot reach."""

    @abstractmethod
    def _start(self) -> None: ...
    @abstractmethod
    def _stop(self) -> None: ...
    @abstractmethod
    def _kill(self) -> None: ...
    @abstractmethod
    def _pause(self) -> None: ...
    @abstractmethod
    def _resume(self) -> None: ...

    def dsn(
        self,
        database: str | None = None,
        *,
        user: str = ROLE,
        password: str | None = None,
        host: str | None = None,
        port: int | None = None,
    ) -> str:
        """`postgresql://…` for a role: "encore", the application's, or "postgres", the superuser.

        PgBouncer's databases are "session", "transaction" and "statement" (its pool modes) and, for
        the superuser, its admin console, "pgbouncer". Another password, host or port are for a
        login that should fail, and for a proxy in front of this server.
        """
        login = f"{user}:{quote(password or self.password, safe='')}"
        address = f"{host or self.host}:{port or self.port}"
        return f"postgresql://{login}@{address}/{quote(database or self.database, safe='')}"

    def psql(self, database: str | None = None, *, user: str = ROLE) -> str:
        """The command that connects psql to it, for a shell."""
        return f"psql '{self.dsn(database, user=user)}'"

    def start(self, timeout: float = 30) -> None:
        """Return when it answers.

        Raises `Unavailable` with the end of its log when it does not within `timeout` seconds.
        """
        if self.status == "paused":
            self._resume()
        elif self.status == "stopped":
            self._start()
        deadline = time.monotonic() + timeout
        look = time.monotonic() + LOOK
        while not self.answers():
            if (now := time.monotonic()) > look:
                if self.status == "stopped" or now > deadline:
                    raise Unavailable(
                        f"{self.name} did not start. Its log ends "
                        f"with:\n{self.log().strip()[-1500:]}"
                    )
                look = now + LOOK
            time.sleep(self.try_again)

    def stop(self) -> None:
        """As an administrator does: clients are disconnected, data is saved."""
        self.resume()
        if self.status != "stopped":
            self._stop()

    def kill(self) -> None:
        """As the out-of-memory killer does: kill -9 of all its processes, which get no chance to
        clean up.

        The operating system closes their connections, and keeps what they had written.
        """
        if self.status != "stopped":
            self._kill()

    def pause(self) -> None:
        """Freeze all its processes: it keeps its connections and answers nothing."""
        if self.status == "running":
            self._pause()

    def resume(self) -> None:
        if self.status == "paused":
            self._resume()

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextlib.contextmanager
    def paused(self) -> Iterator[Self]:
        self.pause()
        try:
            yield self
        finally:
            self.resume()

    @contextlib.contextmanager
    def down(self, how: Literal["stop", "kill"] = "stop") -> Iterator[Self]:
        self.stop() if how == "stop" else self.kill()
        try:
            yield self
        finally:
            self.start()

    def answers(self) -> bool:
        """Begin to log in. PostgreSQL answers with an error, 57P03, until it lets anybody in; then
        it asks for the password.

        An SSLRequest would not do: it is answered too early. Another error ("no encryption", say)
        is an answer.
        """
        text = f"user\0{ROLE}\0database\0{self.database}\0\0".encode()
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as connection:
                connection.sendall(struct.pack("!ii", 8 + len(text), 3 << 16) + text)
                answer = connection.makefile("rb")
                kind = answer.read(1)
                return kind == b"R" or (kind == b"E" and b"C57P03\0" not in answer.read())
        except OSError:
            return False


class Ports:
    """Free ports of 127.0.0.1, held until `close()`.

    Below 32768, where outgoing connections get theirs: one of these could take the port of a
    stopped server. Other pairs pass over them, also while nothing listens there: on Linux a bound
    socket that does not listen keeps a port, and leaves it to a server that sets SO_REUSEADDR, as
    PostgreSQL, PgBouncer and the Docker engine do.
    https://man7.org/linux/man-pages/man7/socket.7.html
    """

    def __init__(self, count: int) -> None:
        self._held = contextlib.ExitStack()
        self.numbers: list[int] = []
        while len(self.numbers) < count:
            port = random.randrange(20000, 32000)
            with contextlib.suppress(OSError):
                holder = self._held.enter_context(socket.socket())
                holder.bind((Server.host, port))
                # Only now: two that may be reused could be bound to the same port.
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.numbers.append(port)
        if sys.platform != "linux":
            self.close()

    def close(self) -> None:
        self._held.close()
