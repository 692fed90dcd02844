"""Stretch: the server that takes writes, of several."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...servers.server import SUPERUSER

TITLE = "the one that takes writes"

HINTS = (
    'Lesson 01, "Several hosts": what does asyncpg take for host and port?',
    "A standby accepts connections as well. Which of them is meant is a setting of the connection, "
    "and what it raises where there is none is what the caller should get.",
    "asyncpg.connect(host=[…], port=[…], target_session_attrs='read-write', timeout=…)",
)

TRAPS = {
    "first": "The first server that answers was taken, and it is a standby: the next write fails.",
    "for lack of": "No server takes writes, and a connection to the standby was returned.",
}

IS_STANDBY = "select pg_is_in_recovery()"


async def check(exam: Examination) -> None:
    with servers.open() as one, servers.open() as two, servers.open() as gone:
        two.postgres.sh("touch standby.signal")
        two.postgres.restart()
        gone.postgres.stop()
        options = {"user": SUPERUSER, "database": "encore"}
        options["password"] = one.postgres.password
        hosts = [("127.0.0.1", stack.postgres.port) for stack in (gone, two, one)]

        async def asked(*addresses: tuple[str, int]) -> tuple[str, int]:
            """What came of it, and the port of the server that was reached."""
            outcome = await exam.run([*addresses], options, limit=8)
            conn = outcome.value
            if not isinstance(conn, asyncpg.Connection):
                return str(outcome), 0
            is_standby = await conn.fetchval(IS_STANDBY)
            port = await conn.fetchval("select inet_server_port()")
            conn.terminate()
            return "a standby" if is_standby else "a server that takes writes", port

        seen, port = await asked(*hosts)
        exam.criterion(
            "a server that is gone, a standby, and one that takes writes: the last one",
            port == one.postgres.port,
            seen,
        )
        alone = await exam.run([*hosts[:2]], options, limit=8)
        told = alone.error is not None
        exam.criterion(
            "a server that is gone, and a standby: an error",
            told,
            "one arrives" if told else str(alone),
        )
        look = await admin(two)
        await look.fetchval("select pg_promote()")
        one.postgres.stop()
        after, new = await asked(*hosts)
        exam.criterion(
            "the standby was promoted, and the other one is gone: the promoted one",
            new == two.postgres.port,
            after,
        )
        if seen == "a standby":
            exam.trap("first")
        elif isinstance(alone.value, asyncpg.Connection):
            exam.trap("for lack of")
