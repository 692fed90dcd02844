"""Processes forked by one that has imported what they need: pytest, or FastAPI, takes a second
of processor time.

    runs = Forks("firedrill.pytests:run", "pytest", "asyncpg")
    fork = runs.start("log.txt", folder="testing")  # run(folder="testing"), in a process of its own
    fork.exit_code, fork.kill()

The process that forks is asked on its standard input, a line of JSON each, and kills all when
that ends, with the notebook.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1  # prctl(2)


class Forks:
    """Of one function, `module:function`.

    Its keyword arguments are JSON, what it returns is the exit code.
    """

    def __init__(self, function: str, *modules: str) -> None:
        self._command = [sys.executable, "-m", __name__, function, *modules]
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()  # one question at a time

    def prepare(self) -> None:
        """Let it begin with its imports. Returns at once."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                # What a pytest around us has set is not for those that we start.
                environment = {
                    name: value
                    for name, value in os.environ.items()
                    if not name.startswith("PYTEST")
                }
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environment,
                    start_new_session=True,
                )

    def ready(self) -> None:
        """Returns when it has imported all, so that `start` takes milliseconds."""
        self.ask()

    def start(self, log: str, **arguments: Any) -> Fork:
        """What it writes is appended to the file `log`."""
        return Fork(self, self.ask(log=log, arguments=arguments))

    def ask(self, **question: Any) -> Any:
        self.prepare()
        with self._lock:
            assert self._process
            assert self._process.stdin
            assert self._process.stdout
            print(json.dumps(question), file=self._process.stdin, flush=True)
            if not (answer := self._process.stdout.readline()):
                raise RuntimeError("The process that forks has ended. Run the cell again.")
            return json.loads(answer)


class Fork:
    """It leads a process group, to which its own children belong."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self.pid = pid
        self._forks = forks
        self._exit_code: int | None = None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal if one has ended it."""
        if self._exit_code is None:
            self._exit_code = self._forks.ask(poll=self.pid)
        return self._exit_code

    def kill(self) -> None:
        """kill -9, of its children as well. May be repeated."""
        if self.exit_code is None:
            self._forks.ask(kill=self.pid)
        while self.exit_code is None:
            time.sleep(0.005)


# The other side: no threads, and no event loop, as it forks.


def serve(name: str, *modules: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        for module in modules:
            with contextlib.suppress(
                ImportError
            ):  # some systems have no uvloop; what else is missing, the function names
                importlib.import_module(module)
    where, _, what = name.partition(":")
    function = getattr(importlib.import_module(where), what)
    gc.freeze()  # or each fork, when it collects its garbage, would go through all of this again
    running: set[int] = set()
    try:
        for line in sys.stdin:
            question = json.loads(line)
            answer = None
            if pid := question.get("poll"):
                answer = _exit_code(pid) if pid in running else 0
                running -= {pid} if answer is not None else set()
            elif pid := question.get("kill"):
                _kill(running & {pid})
            elif question:
                answer = _fork(function, **question)
                running.add(answer)
            os.write(1, json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:  # who asked has been killed meanwhile
        pass
    finally:
        _kill(running)


def _exit_code(pid: int) -> int | None:
    """A number is given to no other process before it is waited for, so what the fork has left
    behind is killed before that."""
    if not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        return None
    _kill({pid})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill(leaders: set[int]) -> None:
    for pid in leaders:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _fork(function: Callable[..., int], log: str, arguments: dict[str, Any]) -> int:
    if not (pid := os.fork()):
        _run(function, log, arguments)
    with contextlib.suppress(
        PermissionError, ProcessLookupError
    ):  # it does so itself, too: whoever comes first
        os.setpgid(pid, pid)
    return pid


def _run(function: Callable[..., int], log: str, arguments: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":  # ends when the process that forks has been killed
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        code = function(**arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(*sys.argv[1:])
