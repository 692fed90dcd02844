"""Waiting for a condition, in checks: `until` is the only loop with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

# What an examination has waited for in vain: on a busy machine this says nothing about the code.
expired: ContextVar[list[str]] = ContextVar("expired")
# What is being waited for now, shown when a check takes long.
PAUSE = 0.01  # seconds between two looks
activity: ContextVar[list[str]] = ContextVar("activity")


async def until(condition: Callable[[], Any], what: str, seconds: float = 5.0) -> Any:
    """Call `condition`, sync or async, until it is true, for at most `seconds`.

    Returns its last value, which is false if the time ran out. `what` completes the sentence
    "waiting until ...".
    """
    doing = activity.get(None)
    if doing is not None:
        doing.append(what)
    deadline = time.monotonic() + seconds
    try:
        while True:
            late = time.monotonic() >= deadline
            result = condition()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value
            if late:  # looked at once more after the deadline: the machine may have slept
                if (missed := expired.get(None)) is not None:
                    missed.append(what)
                return value
            await asyncio.sleep(PAUSE)
    finally:
        if doing is not None:
            doing.remove(what)
