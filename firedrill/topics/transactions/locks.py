"""Waiting until code waits for a lock."""

from __future__ import annotations

from ... import views
from ...checking.sandbox import Running
from ...checking.waiting import until
from ...servers.stack import Stack


async def waits_for_a_lock(stack: Stack, running: Running) -> None:
    """Returns when somebody waits for a lock, or `running` has ended without."""

    async def waits() -> bool:
        return running.done() or bool(await views.locks(stack.postgres))

    await until(waits, "somebody waits for a lock")
