"""Web services in processes of their own: `uvicorn app:app`, in a folder, on a free port of 127.0.0.1.

    shop = await service.start("shop", "app:app", DSN=dsn)     # keywords: its environment variables
    shop.url, shop.pid, shop.log()
    await shop.stop()                                           # SIGTERM: requests are finished, the lifespan ends

To import FastAPI takes a second of processor time. One process does so once, and forks each service. It ends them all when its
standard input ends: with the notebook, by kill -9 too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

from .servers.errors import Unavailable

PRELOADED = ("asyncpg", "fastapi", "httpx", "uvicorn.loops.uvloop", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on")
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


async def start(folder: str | Path, app: str, *, timeout: float = 20, graceful: float | None = None, **environment: str) -> Service:
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


def _end(service: Service) -> str:
    return "\n".join(service.log().rstrip().splitlines()[-12:]) or "(nothing)"


def prepare() -> None:
    """Let the process that forks begin with its imports. Returns at once; `start` does so, too."""
    global _forker
    with _lock:
        if _forker is None or _forker.poll() is not None:
            _forker = subprocess.Popen([sys.executable, "-m", __spec__.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, start_new_session=True)


def _ask(**question: Any) -> dict[str, Any]:
    prepare()
    with _lock:
        assert _forker
        assert _forker.stdin
        assert _forker.stdout
        print(json.dumps(question), file=_forker.stdin, flush=True)
        answer: dict[str, Any] = json.loads(_forker.stdout.readline())
        return answer


def answer_all() -> None:
    """The other side. A number that was forked is given to nobody else until it is polled here: nobody else is killed."""
    for module in PRELOADED:
        with contextlib.suppress(ImportError):      # there is no uvloop on some systems; others are named by the service
            __import__(module)
    running: set[int] = set()
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, Any] = {}
        if pid := question.get("poll"):
            ended, status = os.waitpid(pid, os.WNOHANG) if pid in running else (pid, 0)
            running -= {ended}
            answer["exit_code"] = os.waitstatus_to_exitcode(status) if ended else None
        elif pid := question.get("kill"):
            _kill(running & {pid})
        else:
            with socket.socket() as listener:       # bound here, so nobody else gets the port; uvicorn listens
                listener.bind(("127.0.0.1", 0))
                answer = {"pid": os.fork() or _serve(listener, **question), "port": listener.getsockname()[1]}
            with contextlib.suppress(PermissionError, ProcessLookupError):      # it does so itself, too
                os.setpgid(answer["pid"], answer["pid"])
            running.add(answer["pid"])
        print(json.dumps(answer), flush=True)
    _kill(running)


def _kill(leaders: set[int]) -> None:
    for pid in leaders:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _serve(listener: socket.socket, folder: str, app: str, log: str, environment: dict[str, str],
           graceful: float | None) -> NoReturn:
    """In the forked process: as `uvicorn app:app` in this folder."""
    import uvicorn
    code = 1
    try:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
        sys.stdout.reconfigure(line_buffering=True)     # type: ignore[union-attr]
        os.chdir(folder)
        os.environ.update(environment)
        config = uvicorn.Config(app, use_colors=False, timeout_graceful_shutdown=graceful)  # type: ignore[arg-type]
        sys.path.insert(0, "")
        config.load_app()       # before there is an event loop, as uvicorn does
        server = uvicorn.Server(config)
        server.run(sockets=[listener])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    answer_all()
