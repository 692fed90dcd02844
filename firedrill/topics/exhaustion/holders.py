"""Stretch: who holds the connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.waiting import until

TITLE = "who holds the connections?"

HINTS = (
    "A name is to be on the list from the moment in which its connection is there until it is "
    "given back: what is between these two moments in your code?",
    "An async context manager has two sides, and the second one has to run on each way out. Which "
    "line comes first, the one that waits for a connection or the one that notes the name?",
    "async with pool.acquire() as conn: note the name; try: yield conn; finally: remove it",
)

TRAPS = {
    "waiting": "Somebody who only waits is on the list: it names the victims with the culprits.",
    "stays": "A name is still there after its connection has come back, by an error or a "
    "cancellation.",
}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        tasks: list[asyncio.Future[None]] = []
        try:
            outcome = await exam.run(pool)
            try:
                borrow, holders = outcome.value
            except (TypeError, ValueError):
                exam.criterion("two functions come back", False, str(outcome))
                return
            await _look(exam, pool, borrow, holders, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            pool.terminate()


async def _look(
    exam: Examination,
    pool: asyncpg.Pool,
    borrow: Callable[[str], Any],
    holders: Callable[[], Any],
    tasks: list[asyncio.Future[None]],
) -> None:
    go_on = {name: asyncio.Event() for name in ("report", "map", "sale", "export")}

    async def holds(name: str, then: Callable[[], None] = lambda: None) -> None:
        async with borrow(name) as conn:
            await conn.fetchval("select 1")
            await go_on[name].wait()
            then()

    def start(name: str, then: Callable[[], None] = lambda: None) -> asyncio.Future[None]:
        tasks.append(asyncio.ensure_future(holds(name, then)))
        return tasks[-1]

    async def list_of_now() -> list[str]:
        outcome = await exam.call(holders, plain=True)
        return list(outcome.value) if isinstance(outcome.value, list | tuple) else [str(outcome)]

    def fails() -> None:
        raise ValueError("no such seat")

    report, shown = start("report", fails), start("map")
    await until(lambda: pool.get_idle_size() == 0, "two requests have a connection")
    sale = start("sale")
    await asyncio.sleep(0)
    await until(lambda: sale.done() or len(tasks) == 3, "a third one waits")
    two = await list_of_now()
    exam.criterion(
        "two have a connection, a third one waits: the two, in the order in which they got it",
        two == ["report", "map"],
        f"{two}",
    )
    go_on["report"].set()
    await asyncio.wait({report}, timeout=5)
    await until(lambda: pool.get_idle_size() == 0, "the third one has the connection")
    told = isinstance(report.exception() if report.done() else None, ValueError)
    after_error = await list_of_now()
    exam.criterion(
        "the first one ends with an error, which its caller gets: the second and the third",
        after_error == ["map", "sale"] and told,
        f"{after_error}" + ("" if told else "; the error did not arrive"),
    )
    shown.cancel()
    await asyncio.wait({shown}, timeout=5)
    after_cancelled = await list_of_now()
    exam.criterion(
        "the second one is cancelled: the third one alone",
        after_cancelled == ["sale"],
        f"{after_cancelled}",
    )
    go_on["sale"].set()
    await asyncio.wait({sale}, timeout=5)
    at_last = await list_of_now()
    idle = pool.get_idle_size()
    exam.criterion(
        "all have ended: nobody, and both connections are in the pool",
        at_last == [] and idle == 2,
        f"{at_last}, {idle} of 2",
    )
    if "sale" in two:
        exam.trap("waiting")
    elif "report" in after_error or "map" in after_cancelled:
        exam.trap("stays")
