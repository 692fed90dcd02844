"""`Shop`: a check that stands still where it fails, with its servers, its locks and its load."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

from ..servers.server import POOL_MODES, SUPERUSER
from ..servers.stack import Stack
from .report import Criterion, wrapped

if TYPE_CHECKING:
    from .attempt import Attempt

_latest: Shop | None = None  # there is one at most


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
                step, value = self.check.throw, error  # type: ignore[assignment]
        if self.stand.failed and not self.stand.is_over:
            yield from self.stand.still().__await__()


class Shop:
    """The shop as it fails. Its servers are `stack`; await `close()` to end it.

    It ends with the next check, and with the kernel, too.
    """

    def __init__(self, attempt: Attempt, stand: Stand) -> None:
        self._attempt, self._stand = attempt, stand
        self._check: asyncio.Task[None] | None = None

    @property
    def stack(self) -> Stack:
        """The pair of servers that the check has opened last."""
        return self._attempt.stacks[-1]

    @property
    def is_open(self) -> bool:
        return self._check is not None and not self._check.done()

    async def open(self) -> None:
        global _latest
        await close()
        _latest = self
        self._check = asyncio.ensure_future(self._attempt.run())
        reached = asyncio.ensure_future(self._stand.reached.wait())
        try:
            await asyncio.wait({self._check, reached}, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self.close()
            raise
        finally:
            reached.cancel()
        if self._check.done():
            await self.close()

    async def close(self) -> None:
        """End the check, with all that it has started, and the servers. May be repeated."""
        self._stand.is_over = True
        if self._check:
            self._check.cancel()
            await asyncio.wait({self._check})
        for stack in self._attempt.stacks:
            stack.is_kept = False
            stack.close()

    def __repr__(self) -> str:
        number = self._attempt.number
        if not self.is_open:
            passed = getattr(self._attempt, "status", "") == "passed"
            how = "has passed this time: nothing failed that could be left open" if passed else ""
            return f"Task {number} {how or 'stands still no more: its servers are closed'}."
        lines = [f"Task {number} stands still, as it fails:"]
        if self._stand.is_hanging:
            lines.append("  ✘  your code was called, is still running, and has not been stopped")
        else:
            what, _, measured = self._unmet
            lines += wrapped(f"✘  {what} — {measured}", "     ")
        if self._attempt.stacks:
            postgres, pgbouncer = self.stack.postgres, self.stack.pgbouncer
            lines += [
                f"  PostgreSQL  {postgres.dsn()}",
                f"              {postgres.psql(user=SUPERUSER)}",
                *(f"  PgBouncer   {pgbouncer.dsn(mode)}" for mode in POOL_MODES),
                "  Look at it, with shop = await ...open():",
                "     from firedrill import views, wire",
                "     await views.backends(shop.stack.postgres)     also locks",
                "     await views.pools(shop.stack.pgbouncer)",
                "     with wire.tap(shop.stack) as tap: ...         the next connections' messages",
            ]
        return "\n".join([*lines, "  To end it: await shop.close(). The next check ends it, too."])

    @property
    def _unmet(self) -> Criterion:
        return next(one for one in self._attempt.exam.criteria if not one[1])


async def close() -> None:
    """Close the shop that is open, if one is."""
    global _latest
    if _latest:
        await _latest.close()
        _latest = None
