"""Stretch: a pooler in between, and its mode."""

from __future__ import annotations

from ... import servers, views
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until

TITLE = "who is in between?"

HINTS = (
    "PostgreSQL tells a client its process number at the log-in, and answers a question for it. "
    "Who else may have told the first one?",
    "In transaction mode a client has a server connection for as long as its transaction lasts. "
    "What does it get when somebody else is in a transaction on the one that it had?",
    "Compare conn.get_server_pid() with select pg_backend_pid(); then ask again, while a second "
    "connection is in a transaction.",
)

TRAPS = {
    "alone": "One client alone gets the same server connection again and again, in transaction "
    "mode, too: it takes a second one to see the difference.",
    "left": "A connection is still open.",
}

SESSIONS = (
    "select count(*) from pg_stat_activity where usename = 'encore' and pid <> all($1::int[])"
)


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        dsns = {
            "direct": stack.postgres.dsn(),
            "session": stack.pgbouncer.dsn("session"),
            "transaction": stack.pgbouncer.dsn("transaction"),
        }
        outcomes = {mode: await exam.run(dsn, limit=10) for mode, dsn in dsns.items()}
        for mode, outcome in outcomes.items():
            met = outcome.returned and outcome.value == mode
            exam.criterion(f"{mode}: named so", met, str(outcome))

        async def nobody_is_left() -> bool:
            """Neither a client of PgBouncer's, nor a session that is not PgBouncer's own."""
            clients = [one["user"] for one in await views.show(stack.pgbouncer, "clients")]
            kept = [one["remote_pid"] for one in await views.show(stack.pgbouncer, "servers")]
            return "encore" not in clients and not await look.fetchval(SESSIONS, kept)

        gone = bool(await until(nobody_is_left, "no connection is left open", 3))
        exam.criterion("no connection is left open", gone, "none is" if gone else "one is")
        if not gone:
            exam.trap("left")
        elif outcomes["direct"].value == "direct" and outcomes["transaction"].value == "session":
            exam.trap("alone")
