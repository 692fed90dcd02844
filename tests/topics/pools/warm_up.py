"""Wrong and right answers to the warm-up of exercise 02."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def look_whether_one_is_free(pool: Any) -> Any:
    return await pool.acquire() if pool.get_idle_size() else None


async def wait_and_forget(pool: Any) -> Any:
    request = asyncio.ensure_future(pool.acquire())
    await asyncio.wait({request}, timeout=0.5)
    return request.result() if request.done() else None


async def one_limit_around_it(pool: Any) -> Any:
    try:
        async with asyncio.timeout(0.5):
            return await pool.acquire()
    except TimeoutError:
        return None


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "looks"): look_whether_one_is_free,
    (0, "taken"): wait_and_forget,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, None, one_limit_around_it),
)
