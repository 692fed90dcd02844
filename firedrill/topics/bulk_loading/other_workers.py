"""What an import does to others: a worker that inserts the same row, a sale, the next borrower."""

from __future__ import annotations

from typing import Any

import asyncpg

from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...checking.waiting import until
from ...servers.stack import Stack

# asyncpg switches jit off and on again when it asks for a type.
SESSION = """
    select name, setting from pg_settings where source = 'session' and name <> 'jit'
    order by name"""
SHOP_SETTING = "set lock_timeout = '9s'"  # the shop's own, which a RESET would take away
WAITS = "select cardinality(pg_blocking_pids($1)) > 0"
SALE_LIMIT = "2s"


async def beside_them(
    exam: Examination, stack: Stack, conn: Any, argument: object, insert: str, sale: str
) -> Outcome:
    """Run the code while another worker's `insert` is not yet committed, and try a `sale`."""
    worker, seller = await admin(stack), await admin(stack)
    await worker.execute(f"begin; {insert}")
    running = exam.start(conn, argument, limit=20)
    pid = conn.get_server_pid()

    async def waiting() -> bool:
        return running.done() or await worker.fetchval(WAITS, pid)

    await until(waiting, "the code waits for the other worker's row", 10)
    await seller.execute(f"set lock_timeout = '{SALE_LIMIT}'")
    try:
        await seller.execute(sale)
        sold = True
    except asyncpg.LockNotAvailableError:
        sold = False
    await worker.execute("commit")
    outcome = await running
    exam.criterion(
        "meanwhile another seat can be sold",
        sold,
        "it was" if sold else f"the sale waited for more than {SALE_LIMIT}",
    )
    if not sold and not exam.fallen:
        exam.trap("locked")
    raced = "race" in exam.traps and isinstance(outcome.error, asyncpg.UniqueViolationError)
    if raced and not exam.fallen:
        exam.trap("race")
    for one in (worker, seller):
        await one.close()
    return outcome


async def settings_are_kept(exam: Examination, conn: Any, before: object, when: str = "") -> None:
    """`before` is what `settings` gave."""
    now = await settings(exam, conn)
    exam.criterion(
        f"{when}the session's settings and codecs are kept",
        now == before,
        "they are" if now == before else str(now),
    )


async def settings(exam: Examination, conn: Any) -> object:
    """Those of this session. The connection may have the learner's codecs, which may raise."""
    found = await exam.call(conn.fetch, SESSION)
    decoded = await exam.call(conn.fetchval, "select '{}'::jsonb")
    if not found.returned or not decoded.returned:
        return str(decoded if found.returned else found)
    return [*map(tuple, found.value), ("jsonb is read as", type(decoded.value).__name__)]
