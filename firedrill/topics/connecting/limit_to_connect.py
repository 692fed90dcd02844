"""Warm-up: a server that takes the connection and says nothing."""

from __future__ import annotations

import asyncpg

from ... import servers, wire
from ...checking.examination import Examination

TITLE = "a server that says nothing"

HINTS = (
    'Lesson 01, "a server that never answers": how long does asyncpg wait by itself?',
    "connect() has an argument that bounds all of it: the network, TLS and the log-in.",
    "return await asyncpg.connect(dsn, timeout=1): what it raises is what the caller should get.",
)

TRAPS = {
    "queries": "The limit that was given is that of queries: it bounds nothing before the log-in, "
    "and it ended a query that takes longer than a second.",
    "hidden": "The caller got no error, and goes on without a connection.",
}

LIMIT = 1.0  # seconds
SLOW = "select pg_sleep(1.2)"


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        good = await exam.run(tap.dsn())
        conn = good.value
        is_limited = False
        if isinstance(conn, asyncpg.Connection):
            try:
                await conn.execute(SLOW)
            except TimeoutError:
                is_limited = True
            conn.terminate()
        with tap.stalled():
            silent = await exam.run(tap.dsn(), limit=LIMIT + 2)
        told = isinstance(silent.error, TimeoutError)
        exam.criterion(
            "a server that answers: a connection whose queries have no limit; one that takes the "
            "connection and says nothing: TimeoutError within a second",
            isinstance(conn, asyncpg.Connection)
            and not is_limited
            and told
            and exam.in_time(silent.seconds, LIMIT + 0.5),
            f"{good}; a query of 1.2 s was ended"
            if is_limited
            else f"{good}; then "
            + ("TimeoutError" if told and silent.seconds <= LIMIT + 0.5 else str(silent)),
        )
        if is_limited:
            exam.trap("queries")
        elif silent.returned:
            exam.trap("hidden")
