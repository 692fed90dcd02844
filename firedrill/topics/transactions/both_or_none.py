"""Warm-up: two statements that belong together."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "both, or none"

HINTS = (
    "What is in the database if the second statement fails? asyncpg commits each one by itself.",
    "A block makes one transaction of both: it commits at its end, and rolls back at an error.",
    "async with conn.transaction(): around the two, and let the error out.",
)

TRAPS = {
    "swallowed": "The error was caught and does not reach the caller, who takes the order for "
    "stored.",
    "by hand": "The caller was inside a transaction, and it was ended: BEGIN in a transaction "
    "begins nothing, and COMMIT or ROLLBACK ends the caller's.",
}

STATUS = "select status::text from seats where id = 401"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        unknown = await exam.run(conn, 401, 0)
        told = isinstance(unknown.error, asyncpg.ForeignKeyViolationError)
        after_error = await look.fetchval(STATUS)
        outer = conn.transaction()
        await outer.start()
        inside = await exam.run(conn, 401, 1)
        is_open = conn.is_in_transaction()
        if is_open:
            await outer.rollback()
        undone = await look.fetchval(STATUS)
        good = await exam.run(conn, 401, 1)
        stored = await look.fetchval(STATUS)
        exam.criterion(
            "an unknown customer: ForeignKeyViolationError, and the seat is free; inside a "
            "transaction that the caller rolls back: free; by itself: sold",
            told and (after_error, undone, stored) == ("free", "free", "sold"),
            f"{'the error arrives' if told else unknown}, the seat is {after_error}; {undone}; "
            f"{stored}" + ("" if inside.returned and good.returned else f"; {inside}; {good}"),
        )
        if unknown.returned:
            exam.trap("swallowed")
        elif not is_open:
            exam.trap("by hand")
        conn.terminate()
