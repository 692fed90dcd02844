"""Code that waits for a lock: waiting until it does, and ending its connection there."""

from __future__ import annotations

from typing import Any

from ... import views
from ...checking.examination import Running
from ...checking.waiting import until
from ...servers.stack import Stack


async def waits_for_a_lock(stack: Stack, running: Running, sessions: int = 1) -> bool:
    """Wait until so many sessions wait for a lock, or `running` has ended. Whether they do."""

    async def waits() -> bool:
        return running.done() or len((await views.locks(stack.postgres)).rows) >= sessions

    await until(waits, "somebody waits for a lock")
    return not running.done() and len((await views.locks(stack.postgres)).rows) >= sessions


async def end_who_waits(admin: Any) -> None:
    """End each backend that waits for a lock, as a restart or an administrator would."""
    await admin.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
        "where cardinality(pg_blocking_pids(pid)) > 0"
    )
