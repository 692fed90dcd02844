"""What an administrator looks at: `pg_stat_activity`, waiting locks, PgBouncer's console.

As small tables that stay the same: backends are called A, B, C in the order in which they were
first seen, since process numbers differ from run to run. The connection that looks is never shown.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import psycopg

from .letters import letter, start_letters
from .servers.server import SUPERUSER, Server
from .tables import Table

__all__ = ["Table", "backends", "letter", "locks", "pools", "show", "start_letters"]


async def backends(postgres: Server) -> Table:
    """The client backends of `pg_stat_activity`: who is connected, in which state, waiting for
    what, with which query."""
    rows = await _look(
        postgres,
        """
        select pid, application_name, usename, state, query,
               case when state <> 'active' then null
                    else wait_event_type || ': ' || wait_event end as wait
        from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid()
        order by backend_start, pid""",
    )
    return Table(
        ["backend", "application", "user", "state", "waits for", "query"],
        [
            (
                letter(postgres, row["pid"]),
                row["application_name"],
                row["usename"],
                row["state"],
                row["wait"] or "",
                _short(row["query"]),
            )
            for row in rows
        ],
        empty="no client is connected",
    )


async def locks(postgres: Server) -> Table:
    """Who waits for a lock (`pg_blocking_pids`), behind whom, and with which query."""
    rows = await _look(
        postgres,
        """
        select pid, pg_blocking_pids(pid) as behind, wait_event, query
        from pg_stat_activity
        where cardinality(pg_blocking_pids(pid)) > 0
        order by backend_start, pid""",
    )
    return Table(
        ["backend", "waits for", "held by", "query"],
        [
            (
                letter(postgres, row["pid"]),
                row["wait_event"],
                ", ".join(letter(postgres, pid) for pid in row["behind"]),
                _short(row["query"]),
            )
            for row in rows
        ],
        empty="nobody waits for a lock",
    )


async def pools(pgbouncer: Server) -> Table:
    """`SHOW POOLS` of PgBouncer's console, without its own pool: clients and servers by state,
    for each database and user."""
    columns = (
        "database",
        "user",
        "cl_active",
        "cl_waiting",
        "sv_active",
        "sv_idle",
        "sv_used",
        "pool_mode",
    )
    rows = [row for row in await show(pgbouncer, "pools") if row["database"] != "pgbouncer"]
    return Table(
        columns, [[row[column] for column in columns] for row in rows], empty="no pool yet"
    )


async def show(pgbouncer: Server, what: str) -> list[dict[str, Any]]:
    """The rows of `SHOW <what>`, all columns.

    The console answers the simple query protocol only, which asyncpg does not use to fetch rows;
    psycopg's ClientCursor does. https://www.pgbouncer.org/usage.html#admin-console
    """
    connection = await psycopg.AsyncConnection.connect(
        pgbouncer.dsn("pgbouncer", user=SUPERUSER),
        autocommit=True,
        cursor_factory=psycopg.AsyncClientCursor,
    )
    async with connection:
        cursor = await connection.execute(f"show {what}".encode())
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]


async def _look(postgres: Server, query: str) -> list[asyncpg.Record]:
    # Without a cache: to look uses up none of asyncpg's counted statement names, which a lesson may
    # show.
    connection = await asyncpg.connect(
        postgres.dsn(user=SUPERUSER), timeout=10, statement_cache_size=0
    )
    try:
        # Letters go by the order of connecting, whichever of them the view then shows.
        for row in await connection.fetch("""select pid from pg_stat_activity
                where backend_type = 'client backend' and pid <> pg_backend_pid()
                order by backend_start, pid"""):
            letter(postgres, row["pid"])
        rows: list[asyncpg.Record] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


def _short(query: str, width: int = 48) -> str:
    line = " ".join(query.split())
    return line if len(line) <= width else line[: width - 1] + "…"
