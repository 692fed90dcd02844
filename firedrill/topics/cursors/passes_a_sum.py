"""Warm-up: a cursor, the transaction that it lives in, and an end before the last row."""

from __future__ import annotations

import asyncpg

from ... import servers, wire
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from .orders import many

TITLE = "a cursor and its transaction"

HINTS = (
    'Lesson 13, "Cursor cannot be created outside of a transaction": how long does a portal live, '
    "and what ends the transaction if you have begun none?",
    "Put the whole loop into one transaction block. Leaving the block early ends the transaction.",
    "async with conn.transaction(): async for row in conn.cursor(ORDERS): …, with the return "
    "inside the loop.",
)

TRAPS = {
    "everything": "All orders came over the wire, for a sum that the first few exceed.",
    "left open": "The transaction was begun and not ended: the next one who uses this connection "
    "works in it, and VACUUM waits for it.",
}

ENOUGH = 200  # rows; a cursor asks for 50 at a time


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack, "encore")
        await look.execute(many(1000))
        sums = await look.fetch("select id, sum(total_cents) over (order by id) s from orders")
        tenth = sums[9]
        conn = await asyncpg.connect(tap.dsn())
        tap.clear()
        outcome = await exam.run(conn, tenth["s"] - 1)
        rows = sum(event.count for event in tap.events if event.message == "DataRow")
        can_go_on, state = await usable(conn)
        never = await exam.run(conn, sums[-1]["s"]) if can_go_on else outcome
        conn.terminate()
    right = outcome.returned and outcome.value == tenth["id"]
    none = never.returned and never.value is None
    exam.criterion(
        f"the sum is exceeded by the tenth order: its id, at most {ENOUGH} of {len(sums)} rows "
        "come, and no transaction is left; if it never is: None",
        right and rows <= ENOUGH and can_go_on and none,
        _told(str(outcome) if not right else "", rows, state if not can_go_on else "", str(never)),
    )
    if right and not can_go_on:
        exam.trap("left open")
    elif right and rows > ENOUGH:
        exam.trap("everything")


def _told(wrong: str, rows: int, state: str, never: str) -> str:
    if wrong:
        return wrong
    if state or rows > ENOUGH:
        return state or f"{rows} rows came"
    return f"it came back; if it never is: {never}"
