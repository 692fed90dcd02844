"""Runs a learner's function so that nothing it does can stop the check: it may raise, hang, block, or ignore being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..expect import describe


@dataclass(frozen=True)
class Outcome:
    """What came of one call: a value, or an error, or neither because it was still running after its limit."""

    value: Any = None
    error: BaseException | None = None
    hung: bool = False
    seconds: float = 0.0        # that it took
    limit: float = 0.0          # seconds after which it was stopped

    @property
    def returned(self) -> bool:
        return self.error is None and not self.hung

    def __str__(self) -> str:
        if self.hung:
            return f"still running after {self.limit:g} s, and stopped"
        return describe(self.error).splitlines()[0][:200] if self.error else f"{type(self.value).__name__} came back"


class _Blocked(BaseException):
    """Raised into code that keeps the event loop from running."""


async def run(function: Callable[..., Any], *arguments: Any, limit: float = 5.0, plain: bool = False) -> Outcome:
    """Call `function`, sync or async, and wait for at most `limit` seconds (a second more where it blocks the event loop).

    With `plain`, a result that has to be awaited is an error: whoever calls the function gets no more than a coroutine.
    """
    async def call() -> Any:
        try:
            result = function(*arguments)
            if plain and inspect.iscoroutine(result):
                result.close()
                raise TypeError("a coroutine came back: this has to be a plain function, `def` without `async`")
            return await result if inspect.isawaitable(result) else result
        except SystemExit as error:     # would end the event loop, and with it the notebook
            raise RuntimeError(f"the code left by SystemExit({error.code})") from error

    before = time.monotonic()
    with _alarm(limit + 1):
        task = asyncio.ensure_future(call())
        await asyncio.wait({task}, timeout=limit)
        hung = not task.done() or time.monotonic() - before > limit + 0.5
        for _ in range(10):     # code that swallows CancelledError gets several
            if task.done():
                break
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
    seconds = time.monotonic() - before
    if hung:
        if task.done() and not task.cancelled():
            task.exception()        # looked at, or asyncio would complain
        return Outcome(hung=True, seconds=seconds, limit=limit)
    if task.cancelled():
        return Outcome(error=asyncio.CancelledError(), seconds=seconds)
    error = task.exception()
    return Outcome(error=error, seconds=seconds) if error else Outcome(value=task.result(), seconds=seconds)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """asyncio's timeouts need a loop that runs. This one interrupts code that blocks it, again and again until it gives in."""
    def interrupt(*_: object) -> None:
        raise _Blocked

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
