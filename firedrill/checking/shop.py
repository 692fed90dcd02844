"""`Shop`: a check that stands still where it fails, with its servers, its locks and its load."""

from __future__ import annotations

import asyncio

from ..servers.server import POOL_MODES, SUPERUSER
from ..servers.stack import Stack
from .attempt import Attempt
from .report import Criterion, wrapped
from .standing import Stand

_latest: Shop | None = None  # there is one at most


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
        label = self._attempt.label
        if not self.is_open:
            passed = getattr(self._attempt, "status", "") == "passed"
            how = "has passed this time: nothing failed that could be left open" if passed else ""
            return f"{label} {how or 'stands still no more: its servers are closed'}."
        lines = [f"{label} stands still, as it fails:"]
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
