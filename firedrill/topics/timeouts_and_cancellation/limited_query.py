"""Warm-up: a query that waits for a lock, and a limit for it."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination

TITLE = "a limit for one query"

HINTS = (
    'Lesson 04, "a lock that nobody releases": which limits has asyncpg, and for what is each?',
    "Each of fetch, fetchval and execute takes a limit, for this call only.",
    "return await conn.fetchval(PRICE, seat_id, timeout=0.5)",
)

TRAPS = {
    "left": "A limit was set for the session, and is still there: the next query of this "
    "connection has it, too.",
    "abandoned": "The caller was told of a timeout, and the query goes on: the connection is busy.",
}

LIMIT = 0.5  # seconds
PRICE = "select price_cents from seats where id = 401"
SETTINGS = "select current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        price = await look.fetchval(PRICE)
        good = await exam.run(conn, 401)
        async with look.transaction():
            await look.execute("lock table seats")
            waited = await exam.run(conn, 401, limit=LIMIT + 2)
            try:
                left = await conn.fetchval(SETTINGS) if good.returned else "0 0"
                works, seen = await usable(conn)
            except (asyncpg.InterfaceError, asyncpg.PostgresError) as error:
                left, works, seen = "0 0", False, str(error)
        told = isinstance(waited.error, TimeoutError)
        exam.criterion(
            f"nobody is in the way: the price; somebody has locked the table: TimeoutError within "
            f"{LIMIT} s, and the connection is as it was",
            good.returned
            and good.value == price
            and told
            and works
            and left == "0 0"
            and exam.in_time(waited.seconds, LIMIT + 0.5),
            f"{good}; "
            + ("TimeoutError" if told and waited.seconds <= LIMIT + 0.5 else str(waited))
            + ("" if works else f"; {seen}")
            + ("" if left == "0 0" else "; a limit is left in the session"),
        )
        if left != "0 0":
            exam.trap("left")
        elif told and not works:
            exam.trap("abandoned")
        conn.terminate()
