"""Processes forked by one that has imported what they need: pytest, or FastAPI, takes a second.

    runs = Forks("firedrill.pytests:run", "pytest", "asyncpg")
    fork = runs.start("log.txt", folder="testing")      # run(folder="testing"), in a new process
    fork.exit_code, fork.kill()

The process that forks is asked over a socket, a line of JSON each. When that is closed, as it is
when the notebook ends, it kills all its forks.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1  # prctl(2)
LIMIT = 45.0  # seconds for an answer: importing takes one or two, and a cell has sixty


class Forks:
    """Of one function, `module:function`. Its keyword arguments are JSON.

    What it returns is the exit code.
    """

    def __init__(self, function: str, *modules: str, **environment: str) -> None:
        """`environment` is added to that of the process that forks."""
        self._command = [sys.executable, "-m", __name__, function, *modules]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket
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
                self._socket, theirs = socket.socketpair()
                with theirs:
                    self._process = subprocess.Popen(
                        self._command,
                        stdin=theirs.fileno(),
                        env=environment | self._environment,
                        start_new_session=True,
                    )

    def ready(self) -> None:
        """Returns when it has imported all, so that `start` takes milliseconds."""
        self.ask()

    def start(self, log: str, *, files: Sequence[int] = (), **arguments: Any) -> Fork:
        """What it writes is appended to the file `log`.

        With `files`, numbers of files that are open here, the function gets an argument of this
        name: their numbers in its process.
        """
        return Fork(self, self.ask(files, log=log, arguments=arguments))

    def ask(self, files: Sequence[int] = (), **question: Any) -> Any:
        self.prepare()
        with self._lock:
            try:
                return json.loads(self._answer(json.dumps(question).encode() + b"\n", files))
            except TimeoutError:
                assert self._process
                self._process.kill()
                raise TimeoutError(
                    f"The process that forks has not answered within {LIMIT:g} s, and was ended. "
                    f"It imports {', '.join(self._command[4:])}. Is this machine too busy? "
                    "Then run the cell again."
                ) from None

    def _answer(self, question: bytes, files: Sequence[int]) -> bytes:
        self._socket.settimeout(LIMIT)
        answer = b""
        with contextlib.suppress(ConnectionError):  # it has ended, which is said below
            if files:
                socket.send_fds(self._socket, [b" "], files)
            self._socket.sendall(question)
            while not answer.endswith(b"\n") and (part := self._socket.recv(1 << 16)):
                answer += part
        if not answer:
            raise RuntimeError("The process that forks has ended. Run the cell again.")
        return answer


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
    shown, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
    for module in modules:
        # Some systems have no uvloop. What else is missing, the function names.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    warnings.showwarning = shown  # not `catch_warnings`: filters that the modules set are to stay
    where, _, what = name.partition(":")
    function = getattr(importlib.import_module(where), what)
    gc.freeze()  # or each fork, when it collects its garbage, would go through all of this again
    running: set[int] = set()
    channel = socket.socket(fileno=0)
    try:
        for question, files in _questions(channel):
            answer = None
            if pid := question.get("poll"):
                answer = _exit_code(pid) if pid in running else 0
                running -= {pid} if answer is not None else set()
            elif pid := question.get("kill"):
                _kill(running & {pid})
            elif question:
                answer = _fork(function, files, **question)
                running.add(answer)
            channel.sendall(json.dumps(answer).encode() + b"\n")
    except ConnectionError:  # who asked has been killed meanwhile
        pass
    finally:
        _kill(running)
        for pid in running:  # so that their processor time is counted with that of this process
            os.waitpid(pid, 0)


def _questions(channel: socket.socket) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Each with the open files that came with it. The next one comes only after the answer."""
    text: bytes = b""
    files: list[int] = []
    while True:
        part, received, *_ = socket.recv_fds(channel, 1 << 16, 4)
        if not part:
            return
        text, files = text + part, files + received
        if text.endswith(b"\n"):
            yield json.loads(text), files
            for file in files:
                os.close(file)
            text, files = b"", []


def _exit_code(pid: int) -> int | None:
    """What the fork has left behind is killed first: until then no other process has its number."""
    if not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        return None
    _kill({pid})
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _kill(leaders: set[int]) -> None:
    for pid in leaders:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _fork(
    function: Callable[..., int], files: list[int], log: str, arguments: dict[str, Any]
) -> int:
    if not (pid := os.fork()):
        for file in files:
            os.set_inheritable(file, False)
        _run(function, log, arguments | ({"files": files} if files else {}))
    with contextlib.suppress(
        PermissionError, ProcessLookupError
    ):  # it does so itself, too: the first one wins
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
