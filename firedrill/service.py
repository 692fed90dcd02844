"""Web services in separate processes: `uvicorn app:app`, in a folder, on a free port of
127.0.0.1.

    shop = await service.start("shop", "app:app", DSN=dsn)     # keywords: its environment variables
    shop.url, shop.pid, shop.log()
    await shop.stop()               # SIGTERM: requests are finished, the lifespan ends

All are forked by one process that has imported FastAPI, and end with the notebook, by kill -9
too: see `forks`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from .forks import Fork, Forks
from .servers.errors import Unavailable

_forks = Forks(
    f"{__name__}:serve",
    "asyncpg",
    "fastapi",
    "httpx",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.auto",
    "uvicorn.lifespan.on",
)


class Service:
    """A running service. Processes that it starts end with it."""

    def __init__(self, fork: Fork, log: Any) -> None:
        self.pid = fork.pid
        self._fork, self._log = fork, log

    @property
    def _written(self) -> tuple[str, str, str]:
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace").partition("\n")

    def log(self) -> str:
        """What it has written so far: uvicorn's lines, tracebacks, and what it printed."""
        return self._written[2]

    @cached_property
    def port(self) -> int:
        """The first line of its log, so it is known when the service has been started."""
        return int(self._written[0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._fork.exit_code

    @property
    def is_running(self) -> bool:
        return self.exit_code is None

    async def stop(self, timeout: float = 15) -> bool:
        """SIGTERM. Whether it ended by itself within `timeout` seconds; else it is killed."""
        if self.is_running:
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.is_running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        ended = not self.is_running
        self.kill()
        return ended

    def kill(self) -> None:
        """kill -9, of its children as well. May be repeated."""
        self._fork.kill()

    def _listens(self) -> bool:
        if not self._written[1]:
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


async def start(
    folder: str | Path,
    app: str,
    *,
    timeout: float = 20,
    graceful: float | None = None,
    **environment: str,
) -> Service:
    """Returns when it accepts connections, after the start of its lifespan.

    `graceful` is --timeout-graceful-shutdown.

    Raises `Unavailable` with the end of its log if it ends, or does not listen within `timeout`
    seconds. Nothing is left then.
    """
    log = tempfile.NamedTemporaryFile()  # noqa: SIM115  lives as long as the service
    await asyncio.to_thread(_forks.ready)
    service = Service(
        _forks.start(
            log.name,
            folder=str(Path(folder).resolve()),
            app=app,
            environment=environment,
            graceful=graceful,
        ),
        log,
    )
    deadline = time.monotonic() + timeout
    try:
        while not service._listens():
            if not service.is_running:
                raise Unavailable(
                    f"{app} ended with exit code {service.exit_code}. "
                    f"Its log ends with:\n{_end(service)}"
                )
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{app} did not listen within {timeout:g} s. "
                    f"Its log ends with:\n{_end(service)}"
                )
            await asyncio.sleep(0.01)
    except BaseException:
        service.kill()
        raise
    return service


def prepare() -> None:
    """Let FastAPI be imported. Returns at once; without it, the first `start` waits for that."""
    _forks.prepare()


def _end(service: Service) -> str:
    lines = [
        line for line in service.log().rstrip().splitlines() if "<frozen importlib" not in line
    ]
    return "\n".join(lines[-12:]) or "(nothing)"


def serve(folder: str, app: str, environment: dict[str, str], graceful: float | None) -> int:
    """In the forked process: `uvicorn app:app` in this folder."""
    with socket.socket() as listener:  # bound here, so nobody else gets the port; uvicorn listens
        listener.bind(("127.0.0.1", 0))
        print(listener.getsockname()[1])
        import uvicorn  # where it is missing, the line that `port` reads is there nevertheless

        os.chdir(folder)
        os.environ.update(environment)
        sys.path.insert(0, "")
        config = uvicorn.Config(app, use_colors=False, timeout_graceful_shutdown=graceful)  # type: ignore[arg-type]
        config.load_app()  # before there is an event loop, as uvicorn does
        uvicorn.Server(config).run(sockets=[listener])
    return 0
