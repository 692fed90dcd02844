"""Warm-up: which pooler a service talks to."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.examination import Examination

TITLE = "who is there?"

HINTS = (
    'Lesson 18, "Which pooler is it?": what does PgBouncer 1.26 say at the log-in, and what do '
    "older ones?",
    "conn.get_settings() has what the server said of itself; a name with a dot needs getattr.",
    'getattr(conn.get_settings(), "pgbouncer.version", None); and where there is none, compare '
    "conn.get_server_pid() with pg_backend_pid().",
)

TRAPS = {
    "direct": "A pooler that does not name itself was taken for PostgreSQL.",
    "unknown": "PostgreSQL itself was taken for a pooler.",
}


async def check(exam: Examination) -> None:
    with (
        servers.open(postgres="17", pgbouncer="1.24") as old,
        servers.open(postgres="18", pgbouncer="1.26") as new,
    ):
        scenes = {
            "PostgreSQL": (old.postgres.dsn(), "PostgreSQL"),
            "PgBouncer 1.26": (new.pgbouncer.dsn("transaction"), "PgBouncer 1.26"),
            "an older one": (old.pgbouncer.dsn("session"), "a pooler"),
        }
        given = {}
        for name, (dsn, _) in scenes.items():
            conn = await asyncpg.connect(dsn, statement_cache_size=0)
            given[name] = await exam.run(conn)
            conn.terminate()
        wrong = {
            name: str(outcome)
            for name, outcome in given.items()
            if outcome.value != scenes[name][1]
        }
        exam.criterion(
            "PostgreSQL 17, PgBouncer 1.26 and PgBouncer 1.24 are told apart",
            not wrong,
            "; ".join(f"{name}: {one}" for name, one in wrong.items()) or "they are",
        )
        if given["an older one"].value == "PostgreSQL":
            exam.trap("direct")
        elif given["PostgreSQL"].value == "a pooler":
            exam.trap("unknown")
