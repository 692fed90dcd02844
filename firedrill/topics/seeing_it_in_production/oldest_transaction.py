"""The signal for what vacuum may not remove: the age of the oldest transaction."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome

TITLE = "the oldest transaction"

HINTS = (
    "Which state has a session that somebody has forgotten, and what did it run last?",
    "pg_stat_activity has several times of a session: when it connected, when its transaction "
    "began, when its last query began, when its state changed. It lists all databases.",
    "`max(clock_timestamp() - xact_start)` over all client backends but your own, in any state and "
    "database; `coalesce` for when there is none; `extract(epoch from ...)` for seconds.",
)

TRAPS = {
    "active": "A transaction that is idle was not seen. It holds its locks and its snapshot all "
    "the same, and the forgotten ones are idle.",
    "query": "The time of its last statement was taken: a transaction that runs a query from time "
    "to time looks young forever, and is not.",
    "here": "A transaction in another database was not seen. Databases share the server, its "
    "processor, and old snapshots hold back vacuum of shared tables.",
    "itself": "It sees the transaction of the one who asks. The alert then measures itself.",
}

WAIT = 0.4  # seconds that a transaction has been open at least


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        holder = await asyncpg.connect(stack.postgres.dsn())
        elsewhere = await admin(stack, "postgres")
        outcome = await exam.run(look)
        exam.criterion("nobody is in a transaction: 0", _is(outcome, 0, 0), str(outcome))
        async with look.transaction():
            await asyncio.sleep(WAIT / 4)
            outcome = await exam.run(look)
        own = _is(outcome, 0, 0)
        exam.criterion("only the one who asks is in a transaction: 0", own, str(outcome))
        if not own and outcome.returned and outcome.value:
            exam.trap("itself")
        await _begin(holder)
        outcome, age = await _asked(exam, look)
        seen = _is(outcome, 0.9 * WAIT, age)
        exam.criterion("a transaction is idle", seen, _told(seen, outcome, age))
        if outcome.returned and outcome.value == 0:
            exam.trap("active")
            return
        await holder.execute("select 1")
        outcome, age = await _asked(exam, look, 0.0)
        seen = _is(outcome, 0.9 * WAIT, age)
        exam.criterion("it has just run a query", seen, _told(seen, outcome, age))
        if not seen and outcome.returned:
            exam.trap("query")
        await holder.execute("rollback")
        await _begin(elsewhere)
        outcome, age = await _asked(exam, look)
        seen = _is(outcome, 0.9 * WAIT, age)
        exam.criterion("one in another database", seen, _told(seen, outcome, age))
        if outcome.returned and outcome.value == 0:
            exam.trap("here")
        await elsewhere.execute("rollback")


_began = 0.0


async def _begin(conn: Any) -> None:
    global _began
    _began = asyncio.get_running_loop().time()
    await conn.execute("begin")
    await conn.execute("select 1")


async def _asked(exam: Examination, look: Any, wait: float = WAIT) -> tuple[Outcome, float]:
    await asyncio.sleep(wait)
    outcome = await exam.run(look)
    return outcome, asyncio.get_running_loop().time() - _began


def _is(outcome: Outcome, least: float, most: float) -> bool:
    if not outcome.returned or isinstance(outcome.value, bool):
        return False
    try:
        return least <= float(outcome.value) <= most
    except (TypeError, ValueError):
        return False


def _told(seen: bool, outcome: Outcome, age: float) -> str:
    if seen:
        return "its age"
    if isinstance(outcome.value, int | float) and not isinstance(outcome.value, bool):
        return f"{outcome.value:.2f}, of {age:.2f} s"
    return str(outcome)
