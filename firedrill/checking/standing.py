"""How a check stands still where it fails: `Stand` says where, `Halting` awaits the check."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class Stand:
    """Where a check stands still: at a criterion that is not met, or at the call that hangs there.

    `after`: how many criteria came before the one that was not met the last time. A call that runs
    into its limit earlier may be meant to.
    """

    def __init__(self, after: int) -> None:
        self.after, self.noted = after, 0
        self.failed = self.is_hanging = self.is_over = False
        self.reached = asyncio.Event()

    def on_criterion(self, what: str, met: bool) -> None:
        self.noted += 1
        self.failed |= not met

    async def on_hang(self) -> None:
        if self.noted >= self.after and not self.is_over:
            self.is_hanging = not self.failed
            await self.still()

    async def still(self) -> None:
        """Until it is cancelled."""
        self.reached.set()
        await asyncio.Event().wait()


class Halting:
    """Awaits a check, and halts at its first `await` after it has failed.

    What the check has started by then goes on: tasks that are its customers, calls that hang.
    """

    def __init__(self, check: Coroutine[Any, Any, None], stand: Stand) -> None:
        self.check, self.stand = check, stand

    def __await__(self) -> Generator[Any, Any, None]:
        step, value = self.check.send, None
        while True:
            try:
                future = step(value)
            except StopIteration:
                break
            try:
                if self.stand.failed and not self.stand.is_over:
                    yield from self.stand.still().__await__()
                step, value = self.check.send, (yield future)
            except GeneratorExit:
                self.check.close()
                raise
            except BaseException as error:
                if future is not None and isinstance(error, asyncio.CancelledError):
                    future.cancel()  # as a task does with what it waits for
                step, value = self.check.throw, error
        if self.stand.failed and not self.stand.is_over:
            yield from self.stand.still().__await__()
