"""A deadlock of the batch with another transaction: the batch is its victim (task 3)."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import admin
from ...checking.examination import Examination, Running
from .interrupting import interrupted, until_waiting
from .vouchers import BAD, IMPATIENT, ROWS, rows


async def deadlock(exam: Examination, stack: Any, look: Any) -> bool:
    """The load has order 1 and waits for order 20; the rival has 21 and waits for 1.

    Then the load goes on, and wants 21.
    """
    await look.execute(f"delete from vouchers; {IMPATIENT}")
    rival, third = await admin(stack), await admin(stack)
    await rival.execute(
        "set deadlock_timeout = '1min'; begin; select from orders where id = 21 for update"
    )
    await third.execute("begin; select from orders where id = 20 for update")
    made, _ = rows()
    for number, order in ((0, 1), (BAD, 99999), (700, 20), (999, 21)):
        made[number] = (f"V{number}", order, 500)

    async def takes_order_1() -> None:
        await rival.execute("select from orders where id = 1 for update")
        await rival.execute("commit")

    other: asyncio.Future[None] | None = None

    async def cross(running: Running) -> None:
        nonlocal other
        other = asyncio.ensure_future(takes_order_1())
        await until_waiting(look, 2, running)
        await third.execute("rollback")

    with wire.tap(stack, in_front_of="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=1, max_size=2)
        outcome = await interrupted(exam, look, cross, pool, made)
        pool.terminate()
        errors = [event.text for event in tap.events if event.message == "ErrorResponse"]
    if other:
        await asyncio.wait({other}, timeout=5)
        other.cancel()
    kept = await look.fetchval("select count(*) from vouchers")
    refused = outcome.value if outcome.returned else None
    exam.criterion(
        f"a deadlock at row 999, and row {BAD} is bad: the others are stored, that one comes back",
        kept == ROWS - 1 and refused == [BAD],
        f"{outcome}; {kept} stored"
        + (f", {len(refused)} refused" if isinstance(refused, list) else ""),
    )
    if refused == [BAD, BAD]:
        exam.trap("counted twice")
    elif isinstance(refused, list) and set(refused) - {BAD}:
        exam.trap("blamed")
    elif sum("40P01" in text for text in errors) > 1 or isinstance(
        outcome.error, asyncpg.InFailedSQLTransactionError
    ):
        exam.trap("inside")
    return refused == [BAD]
