"""A shutdown that loses nobody: requests that pay, or wait, and a connection that is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until

TITLE = "a shutdown that loses nobody"

HINTS = (
    'Lesson 02, "close() never ends": whom does close() wait for, and whom not?',
    "Two things have to end within one limit: the requests, those in the queue included, and "
    "close(). What is late is cancelled. (asyncio.wait() refuses an empty set.)",
    "async with asyncio.timeout(patience): wait for the requests, then await pool.close(). On "
    "TimeoutError cancel the requests that are left, and terminate the pool.",
)

TRAPS = {
    "forever": "It waits for a connection that nobody will give back. Neither the garbage "
    "collector nor close() brings it back.",
    "cut": "It waited for no request. PostgreSQL finished the payment under way all the same, and "
    "its customer was told of an error.",
    "queue": "close() waits for connections that are borrowed. A request in the queue got a "
    "connection that was then closed during its query, or it got none.",
    "an error": "One request failed, and the others lost their connections: the first error ended "
    "the waiting for all.",
    "left": "The patience was over, and the pool was left as it was: its sessions are still open.",
    "sleeps": "It takes its whole patience even when nobody is there.",
    "obeyed": "It cancelled a request and then waited for its end: a request may catch its "
    "cancellation and go on.",
    "twice": "The patience was spent twice: once on the requests, once more on close().",
}

PAY = """insert into payments (order_id, amount_cents, method)
         select $1, 1700, 'transfer' from pg_sleep(0.2)"""
SESSIONS = "select count(*) from pg_stat_activity where application_name = $1"
GRACE = 0.7  # seconds more than its patience that a shutdown may take


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        forgotten: list[str] = []  # scenes in which a request was neither ended nor cancelled

        async def shut_down(
            scene: str,
            connections: int,
            patience: float,
            payments: int = 0,
            endless: bool = False,
            lost: bool = False,
            error: bool = False,
            stubborn: bool = False,
        ) -> tuple[Outcome, int, int]:
            """What came of it, how many payments had ended well by then, and sessions left."""
            pool = await asyncpg.create_pool(
                stack.postgres.dsn(),
                min_size=1,
                max_size=connections,
                server_settings={"application_name": scene},
            )
            kept = await pool.acquire() if lost else None
            # The one that fails is first in the queue: the payments end later.
            tasks = [asyncio.ensure_future(_fails(pool))] if error else []
            tasks += [
                asyncio.ensure_future(_pay(pool, number)) for number in range(1, payments + 1)
            ]
            tasks += [asyncio.ensure_future(_never_ends(pool))] if endless else []
            if tasks:
                await until(lambda: pool.get_idle_size() == 0, "the requests are at it")
            over = asyncio.Event()
            if stubborn:
                tasks.append(asyncio.ensure_future(_goes_on(pool, over)))
                await until(lambda: pool.get_idle_size() == 0, "the requests are at it")
            outcome = await exam.run(pool, set(tasks), patience, limit=patience + 1.5)
            paid = sum(map(_ended_well, tasks))  # now, when the process would end
            over.set()
            if not all(task.done() or task.cancelling() for task in tasks):
                forgotten.append(scene)

            async def they_are_gone() -> bool:
                return not await look.fetchval(SESSIONS, scene)

            await until(they_are_gone, "its sessions are gone", 1)
            left = await look.fetchval(SESSIONS, scene)
            await _tidy(pool, tasks)
            del kept
            return outcome, paid, left

        quiet, _, left = await shut_down("quiet", 2, 1.5)
        exam.criterion(
            "nobody is there: closed at once",
            quiet.returned and quiet.seconds < 1 and not left,
            _told(quiet, 1, left),
        )

        before = await look.fetchval("select count(*) from payments")
        queue, paid, left = await shut_down("queue", 1, 2.5, payments=3)
        new = await look.fetchval("select count(*) from payments") - before
        exam.criterion(
            "three customers pay, two of them wait for a connection: all three have paid by then",
            paid == 3,
            f"{paid} of 3" + ("" if queue.returned else f"; {queue}"),
        )
        exam.criterion("what they are told is true", new == paid, f"{new} new payments")
        exam.criterion(
            "and then it is closed",
            queue.returned and queue.seconds < 2.5 and not left,
            _told(queue, 2.5, left),
        )

        failing, paid_after, left = await shut_down("error", 1, 2.5, payments=2, error=True)
        exam.criterion(
            "one request ends with an error, two pay after it: both have paid by then",
            failing.returned and paid_after == 2 and not left,
            f"{paid_after} of 2"
            + ("" if failing.returned and not left else f"; {_told(failing, 2.5, left)}"),
        )

        lost, _, left = await shut_down("lost", 1, 0.6, lost=True)
        exam.criterion(
            "a connection was never given back: closed when the patience ends",
            lost.returned and 0.5 <= lost.seconds < 0.6 + GRACE and not left,
            "it was not waited for" if lost.seconds < 0.5 else _told(lost, 0.6 + GRACE, left),
        )
        left_open = left

        both, paid_too, left = await shut_down("endless", 3, 1, payments=1, endless=True, lost=True)
        exam.criterion(
            "and a request that never ends, next to one that pays: the same",
            both.returned and both.seconds < 1 + GRACE and not left and paid_too == 1,
            _told(both, 1 + GRACE, left) + ("" if paid_too else ", and nobody has paid"),
        )
        exam.criterion(
            "the request that never ends was cancelled",
            "endless" not in forgotten,
            "it was not" if "endless" in forgotten else "it was",
        )

        ignored, _, left = await shut_down("stubborn", 1, 0.6, stubborn=True)
        exam.criterion(
            "and a request that catches its cancellation and goes on: closed in time all the same",
            ignored.returned and ignored.seconds < 0.6 + GRACE and not left,
            _told(ignored, 0.6 + GRACE, left),
        )

        if lost.hung:
            exam.trap("forever")
        elif paid == 0:
            exam.trap("cut")
        elif paid < 3:
            exam.trap("queue")
        elif paid_after < 2:
            exam.trap("an error")
        elif quiet.seconds >= 1:
            exam.trap("sleeps")
        elif left_open:
            exam.trap("left")
        elif both.returned and both.seconds >= 1 + GRACE:
            exam.trap("twice")
        elif ignored.hung and both.returned:
            exam.trap("obeyed")


async def _pay(pool: Any, order: int) -> None:
    async with pool.acquire() as conn:
        await conn.execute(PAY, order)


async def _fails(pool: Any) -> None:
    async with pool.acquire() as conn:
        await conn.execute("select 1 / 0")


async def _never_ends(pool: Any) -> None:
    async with pool.acquire():
        await asyncio.Event().wait()


async def _goes_on(pool: Any, over: asyncio.Event) -> None:
    """Catches its cancellation, as a retry around everything does, until it is over."""
    async with pool.acquire():
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()


def _ended_well(task: asyncio.Future[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def _tidy(pool: Any, tasks: Iterable[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    pool.terminate()


def _told(outcome: Outcome, limit: float, left: int) -> str:
    if not outcome.returned:
        return str(outcome)
    took = "in time" if outcome.seconds < limit else f"after {outcome.seconds:.1f} s"
    return took + (f", with {left} session{'s' if left > 1 else ''} left open" if left else "")
