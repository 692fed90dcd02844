"""Runs a learner's code so that nothing it does can stop the check, or outlive it.

The code may raise, hang, block the event loop, ignore being cancelled, exit, or leave tasks behind.

    with Sandbox() as sandbox:
        outcome = await sandbox.run(function, *arguments, limit=5)
        running = sandbox.start(function, *arguments)       # meanwhile the check does something
        outcome = await running
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from .outcome import Outcome

TICK = 0.25  # seconds between two looks at the event loop: is it running?
# What asyncio says of a task, and asyncpg of a connection that is released in a transaction.
NOISE = ("never retrieved", "Resetting connection with an active transaction")
CANCELLATIONS = 10  # code that swallows CancelledError gets several, a tenth of a second apart

# Set inside the learner's code, and inherited by each task that it starts.
inside: ContextVar[bool] = ContextVar("inside", default=False)


class Blocked(BaseException):
    """Raised into code that keeps the event loop from running. No `except Exception` catches it."""


class Running:
    """A call that has been started. Awaiting it gives its `Outcome`, within its limit."""

    def __init__(
        self,
        task: asyncio.Task[Any],
        limit: float,
        on_hang: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.limit = limit
        self._on_hang = on_hang
        self._task = task
        self._began = time.monotonic()
        self._ended: float | None = None
        self._note: Callable[[Outcome], Outcome] = lambda outcome: outcome
        task.add_done_callback(self._note_end)

    def _note_end(self, _: object) -> None:
        self._ended = time.monotonic()

    def on_outcome(self, note: Callable[[Outcome], Outcome]) -> None:
        """Called with the outcome when it is awaited."""
        self._note = note

    def done(self) -> bool:
        return self._task.done()

    async def wait(self, seconds: float) -> None:
        """Until it has ended, or so long."""
        await asyncio.wait({self._task}, timeout=seconds)

    def cancel(self) -> None:
        """Cancel it as a web framework does when the client has gone."""
        self._task.cancel()

    async def end(self, patience: float = 2.0) -> bool:
        """Cancel it. Whether that has ended it within `patience`; if not, it is cancelled again."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=patience)
        obeyed = self._task.done()
        await stop({self._task})
        return obeyed

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._outcome().__await__()

    async def _outcome(self) -> Outcome:
        return self._note(await self._finish())

    async def _finish(self) -> Outcome:
        left = self._began + self.limit - time.monotonic()
        await asyncio.wait({self._task}, timeout=max(left, 0))
        # Code that has blocked the loop is over its limit although it has ended by now.
        hung = not self._task.done() or (self._ended or 0) - self._began > self.limit + 2 * TICK
        if self._on_hang and not self._task.done():
            await self._on_hang()
        await stop({self._task})
        seconds = (self._ended or time.monotonic()) - self._began
        error = None if not self._task.done() or self._task.cancelled() else self._task.exception()
        if isinstance(error, KeyboardInterrupt):  # the learner has pressed Stop
            raise error
        if hung or isinstance(error, Blocked):
            return Outcome(hung=True, seconds=seconds, limit=self.limit)
        if self._task.cancelled():
            return Outcome(error=asyncio.CancelledError(), seconds=seconds, limit=self.limit)
        if error:
            return Outcome(error=error, seconds=seconds, limit=self.limit)
        return Outcome(value=self._task.result(), seconds=seconds, limit=self.limit)


async def stop(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel the tasks until they have ended, or will not."""
    for _ in range(CANCELLATIONS):
        tasks = {task for task in tasks if not task.done()}
        if not tasks:
            return
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.1)


class Sandbox:
    """Entered in the event loop's thread, once for each check."""

    def __init__(self, on_hang: Callable[[], Awaitable[None]] | None = None) -> None:
        self._on_hang = on_hang  # awaited before a call that has run into its limit is stopped
        self._tasks: set[asyncio.Task[Any]] = set()  # the learner's, with those that it started
        self._limits: dict[asyncio.Task[Any], float] = {}
        self._beats = self._seen = self._missed = 0
        self._beat: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._factory = self._loop.get_task_factory()
        self._handler = self._loop.get_exception_handler()
        self._loop.set_task_factory(self._make_task)
        self._loop.set_exception_handler(self._handle)
        self._can_interrupt = threading.current_thread() is threading.main_thread()
        if self._can_interrupt:
            self._keep_beating()
            self._before = signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        if self._can_interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)
        if self._beat:
            self._beat.cancel()
        self._loop.set_task_factory(self._factory)
        self._loop.set_exception_handler(self._handler)
        for task in self._tasks:
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()  # looked at, or asyncio would complain to the learner

    def start(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        limit: float = 5.0,
        plain: bool = False,
    ) -> Running:
        """Begin to call `function`, sync or async. See `run`."""
        task = self._loop.create_task(self._call(function, arguments, plain))
        self._tasks.add(task)
        self._limits[task] = limit
        task.add_done_callback(lambda task: self._limits.pop(task, None))
        return Running(task, limit, self._on_hang)

    async def run(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        limit: float = 5.0,
        plain: bool = False,
    ) -> Outcome:
        """Call `function`, sync or async, for at most `limit` seconds, a second more if it blocks.

        With `plain`, a result that has to be awaited is an error: its caller gets a coroutine.
        """
        return await self.start(function, *arguments, limit=limit, plain=plain)

    async def clean_up(self) -> int:
        """End the tasks that the learner's code has left behind. Returns how many there were."""
        known: set[asyncio.Task[Any]] = set()
        for _ in range(CANCELLATIONS):  # a task that is cancelled may start another one
            left = {task for task in self._tasks if not task.done()} - known
            if not left:
                break
            known |= left
            await stop(left)
        return len(known)

    @staticmethod
    async def _call(function: Callable[..., Any], arguments: tuple[Any, ...], plain: bool) -> Any:
        inside.set(True)
        try:
            result = function(*arguments)
            if plain and inspect.iscoroutine(result):
                result.close()
                raise TypeError(
                    "a coroutine came back: this has to be a plain function, `def` without `async`"
                )
            return await result if inspect.isawaitable(result) else result
        except SystemExit as error:  # would end the event loop, and with it the notebook
            raise RuntimeError(f"the code left by SystemExit({error.code})") from error

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        task: Any = (
            self._factory(loop, coroutine, **options)
            if self._factory
            else asyncio.Task(coroutine, loop=loop, **options)
        )
        if inside.get():
            self._tasks.add(task)
        return task

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error of a learner's task or connection is in the report, not below it as noise."""
        if any(noise in context.get("message", "") for noise in NOISE):
            return
        if self._handler:
            self._handler(loop, context)
        else:
            loop.default_exception_handler(context)

    def _keep_beating(self) -> None:
        self._beats += 1
        self._beat = self._loop.call_later(TICK / 2, self._keep_beating)

    def _tick(self, *_: object) -> None:
        """In the main thread, between two instructions of whatever it is doing.

        Ticks are counted, not seconds: a process that was not given a processor misses none.
        """
        self._missed = 0 if self._beats != self._seen else self._missed + 1
        self._seen = self._beats
        if not self._limits or self._missed * TICK <= min(self._limits.values()) + 1:
            return
        with contextlib.suppress(RuntimeError):
            current = asyncio.current_task(self._loop)
            if current is None or current in self._tasks:
                raise Blocked
