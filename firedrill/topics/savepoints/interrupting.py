"""How a learner's function is interrupted while one of its queries waits for a lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...checking.examination import Examination, Running
from ...checking.outcome import Outcome
from ...checking.waiting import until

BLOCKED = "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"

Interrupt = Callable[[Running], Awaitable[None]]


async def interrupted(
    exam: Examination, look: Any, interrupt: Interrupt, *arguments: Any, limit: float = 10
) -> Outcome:
    """Run the learner's code until one of its queries waits for a lock, then `interrupt` it.

    The holder of the lock lets go later.
    """
    running = exam.start(*arguments, limit=limit)
    await until_waiting(look, 1, running)
    await interrupt(running)
    return await running


async def until_waiting(look: Any, count: int, running: Running) -> None:
    """Until so many backends wait for a lock, or the call has ended."""

    async def they_wait() -> bool:
        return running.done() or await look.fetchval(BLOCKED) >= count

    await until(they_wait, f"{count} queries wait for a lock", running.limit)


async def cancel(running: Running) -> None:
    """As a web framework does when the client has gone."""
    running.cancel()
