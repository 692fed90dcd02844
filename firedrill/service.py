"""Web services in processes of their own: `uvicorn app:app`, in a folder, on a free port of 127.0.0.1.

    shop = await service.start("shop", "app:app", DSN=dsn)     # keywords: its environment variables
    shop.url, shop.pid, shop.log()
    await shop.stop()                                           # SIGTERM: requests are finished, the lifespan ends

All are forked by one process that has imported FastAPI, see `forks`, and end with the notebook, by kill -9 too.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .servers.errors import Unavailable

_forker: subprocess.Popen[str] | None = None
_lock = threading.Lock()        # one question at a time


class Service:
    """A running service. It leads a process group, to which its own children belong."""

    def __init__(self, pid: int, port: int, log: Any) -> None:
        self.pid, self.port, self.url = pid, port, f"http://127.0.0.1:{port}"
        self.exit_code: int | None = None
        self._log = log

    def log(self) -> str:
        """What it has written so far: uvicorn's lines, tracebacks, and what it printed."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    @property
    def is_running(self) -> bool:
        if self.exit_code is None:
            self.exit_code = _ask(poll=self.pid)["exit_code"]
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
        _ask(kill=self.pid)
        while self.is_running:
            time.sleep(0.005)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


async def start(folder: str | Path, app: str, *, timeout: float = 20, graceful: float | None = None,
                **environment: str) -> Service:
    """Returns when it accepts connections, after the start of its lifespan. `graceful` is --timeout-graceful-shutdown.

    Raises `Unavailable` with the end of its log if it ends, or does not listen within `timeout` seconds. Nothing is left then.
    """
    log = tempfile.NamedTemporaryFile()     # noqa: SIM115  lives as long as the service
    service = Service(**await asyncio.to_thread(_ask, folder=str(Path(folder).resolve()), app=app, log=log.name,
                                                environment=environment, graceful=graceful), log=log)
    deadline = time.monotonic() + timeout
    try:
        while not service._listens():
            if not service.is_running:
                raise Unavailable(f"{app} ended with exit code {service.exit_code}. Its log ends with:\n{_end(service)}")
            if time.monotonic() > deadline:
                raise Unavailable(f"{app} did not listen within {timeout:g} s. Its log ends with:\n{_end(service)}")
            await asyncio.sleep(0.01)
    except BaseException:
        service.kill()
        raise
    return service


def prepare() -> None:
    """Let the process that forks begin with its imports. Returns at once; without it, the first `start` waits for them."""
    global _forker
    with _lock:
        if _forker is None or _forker.poll() is not None:
            _forker = subprocess.Popen([sys.executable, "-m", "firedrill.forks"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, start_new_session=True)


def _ask(**question: Any) -> dict[str, Any]:
    prepare()
    with _lock:
        assert _forker
        assert _forker.stdin
        assert _forker.stdout
        print(json.dumps(question), file=_forker.stdin, flush=True)
        answer: dict[str, Any] = json.loads(_forker.stdout.readline())
        return answer


def _end(service: Service) -> str:
    lines = [line for line in service.log().rstrip().splitlines() if "<frozen importlib" not in line]
    return "\n".join(lines[-12:]) or "(nothing)"
