"""Warm-up: a notification with any payload."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until

TITLE = "any payload"

HINTS = (
    'Lesson 14, "The channel that nobody hears": NOTIFY is a command that takes no parameters.',
    "There is a function that does the same, and a function takes parameters.",
    "await conn.execute(\"select pg_notify('sold', $1)\", seat)",
)

TRAPS = {
    "in the SQL": "The seat was written into the statement: a quote in it ends the string.",
    "refused": "A seat with a quote in it was not told at all.",
}

SEATS = ("A1", "O'Hara 7", "Loge \\ 2")
QUERY = "select query from pg_stat_activity where pid = $1"
END = "the end"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn, listener = [await asyncpg.connect(stack.postgres.dsn()) for _ in range(2)]
        heard: list[str] = []
        await listener.add_listener("sold", lambda *arguments: heard.append(arguments[3]))
        outcomes = [await exam.run(conn, SEATS[0])]
        written = SEATS[0] in (await look.fetchval(QUERY, conn.get_server_pid()) or "")
        outcomes += [await exam.run(conn, seat) for seat in SEATS[1:]]
        await look.execute("select pg_notify('sold', $1)", END)
        await until(lambda: END in heard, "the last notification has come")
        heard = [payload for payload in heard if payload != END]
        failed = [str(outcome) for outcome in outcomes if not outcome.returned]
        exam.criterion(
            "three seats, one with a quote and one with a backslash in its name: each is heard, "
            "and none is part of the statement",
            heard == [*SEATS] and not written,
            "; ".join([f"heard: {heard}", *failed]),
        )
        if written:
            exam.trap("in the SQL")
        elif SEATS[1] not in heard:
            exam.trap("refused")
        for one in (conn, listener):
            one.terminate()
