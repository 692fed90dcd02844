"""Code that runs until it is cancelled: what the three tasks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...checking.examination import Examination, Running
from ...checking.waiting import until
from ...servers.stack import Stack

SOON = 3.0  # seconds; the tasks ask for one, and a machine may be busy


async def in_part(exam: Examination, part: Callable[..., Any], *given: Any, limit: float) -> None:
    """A part of a check that the learner's code may keep from going on."""
    outcome = await exam.call(part, exam, *given, limit=limit)
    if outcome.error:
        raise outcome.error
    if outcome.hung:
        exam.criterion("the rest of the program goes on", False, str(outcome))


async def comes(
    running: Running, condition: Callable[[], Any], what: str, seconds: float = SOON
) -> bool:
    """Whether the condition becomes true in time. Code that has ended is not waited for."""
    await until(lambda: condition() or running.done(), what, seconds)
    return bool(condition())


async def state(running: Running) -> str:
    if not running.done():
        return "running"
    outcome = await running
    return str(outcome) if outcome.error else "it had ended"


def crash(stack: Stack) -> None:
    stack.postgres.kill()
    stack.postgres.start()
