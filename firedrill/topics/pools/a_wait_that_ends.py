"""Warm-up: a wait for a connection that ends."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.outcome import Outcome

TITLE = "a wait that ends"

HINTS = (
    'Lesson 02, "create_pool(timeout=)": which wait does that limit bound, and which not?',
    "The limit belongs to the wait for a connection: one of acquire()'s own arguments.",
    "try: return await pool.acquire(timeout=0.5), and None on TimeoutError.",
)

TRAPS = {
    "looks": "It did not wait. A connection that comes back a moment later goes to nobody, and the "
    "customer was told that there is none.",
    "taken": "The customer was told that there is none, and the request for a connection went on: "
    "it took the next one that came back, for nobody.",
}

LIMIT = 0.5  # seconds


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=1)
        try:
            first = await exam.run(pool)
            second, is_back = Outcome(value=...), False
            if first.returned and first.value is not None:
                second = await exam.run(pool, limit=LIMIT + 2)
                await pool.release(first.value)
                is_back = await _comes_back(pool)
            none = second.returned and second.value is None
            waited = none and second.seconds >= 0.8 * LIMIT
            exam.criterion(
                f"one connection, two customers: the first has it, the second hears None after "
                f"{LIMIT} s, and when the first gives it back it is free",
                waited and is_back and exam.in_time(second.seconds, LIMIT + 0.5),
                _told(first, second, is_back),
            )
            if none and not waited:
                exam.trap("looks")
            elif none and not is_back:
                exam.trap("taken")
        finally:
            pool.terminate()


async def _comes_back(pool: asyncpg.Pool) -> bool:
    try:
        await pool.release(await pool.acquire(timeout=1))
    except TimeoutError:
        return False
    return True


def _told(first: Outcome, second: Outcome, is_back: bool) -> str:
    if not first.returned or first.value is None:
        return f"the first: {first}"
    if not second.returned or second.value is not None:
        return f"the second: {second}"
    if second.seconds < 0.8 * LIMIT:
        return "None at once"
    late = f" after {second.seconds:.1f} s" if second.seconds > LIMIT + 0.5 else ""
    return f"None{late}" + (", and it was free" if is_back else ", and it was not free")
