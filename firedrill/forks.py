"""The process that forks each `service`. To import FastAPI takes a second of processor time: this one does so once, and waits.

It is asked on standard input, a line of JSON each, and ends all services when that ends. A process number that was forked
here is given to nobody else before it is polled here, so nobody else is ever killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

PRELOADED = ("asyncpg", "fastapi", "httpx", "uvicorn.loops.uvloop", "uvicorn.protocols.http.auto", "uvicorn.lifespan.on")


def answer_all() -> None:
    for module in PRELOADED:
        with contextlib.suppress(ImportError):      # some systems have no uvloop; what else is missing, the service names
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
    """In the forked process: `uvicorn app:app` in this folder."""
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
        sys.path.insert(0, "")
        config = uvicorn.Config(app, use_colors=False, timeout_graceful_shutdown=graceful)  # type: ignore[arg-type]
        config.load_app()       # before there is an event loop, as uvicorn does
        uvicorn.Server(config).run(sockets=[listener])
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
