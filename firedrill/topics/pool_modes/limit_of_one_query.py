"""Warm-up: a setting for one query behind PgBouncer."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination

TITLE = "a setting for one query"

HINTS = (
    'Lesson 11, "SET": whose session is it, when the transaction has ended?',
    "SET LOCAL holds until the end of the transaction, whatever way it ends.",
    "async with conn.transaction(): set local statement_timeout = '3s', then the query.",
)

TRAPS = {
    "left": "The setting has stayed on the server connection, and another client has it now.",
    "outside": "SET LOCAL outside a transaction sets nothing; PostgreSQL only warns.",
}

SHOW = "select current_setting('statement_timeout')"
FAILS = "select 1 / 0"
TOLD = asyncpg.DivisionByZeroError


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        dsn = stack.pgbouncer.dsn("transaction")
        conn = await asyncpg.connect(dsn, statement_cache_size=0)
        other = await asyncpg.connect(dsn, statement_cache_size=0)
        good = await exam.run(conn, SHOW)
        after = await other.fetchval(SHOW)
        failing = await exam.run(conn, FAILS)
        after_error = await other.fetchval(SHOW)
        told = isinstance(failing.error, TOLD)
        clean = after == after_error == "0"
        exam.criterion(
            "the query has the limit of 3 s, an error arrives, and no other client finds the limit "
            "afterwards",
            good.value == "3s" and told and clean,
            f"{good}; {'the error arrives' if told else failing}"
            + ("" if clean else f"; another client has {after}, and {after_error} after the error"),
        )
        if not clean:
            exam.trap("left")
        elif good.value == "0":
            exam.trap("outside")
        conn.terminate()
        other.terminate()
