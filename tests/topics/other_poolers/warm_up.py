"""Wrong and right answers to the warm-up of exercise 18."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def what_it_says(conn: Any) -> str:
    version = getattr(conn.get_settings(), "pgbouncer.version", None)
    return f"PgBouncer {'.'.join(version.split('.')[:2])}" if version else "PostgreSQL"


def or_a_pooler(conn: Any) -> str:
    version = getattr(conn.get_settings(), "pgbouncer.version", None)
    return f"PgBouncer {'.'.join(version.split('.')[:2])}" if version else "a pooler"


async def by_the_number_alone(conn: Any) -> str:
    pid = await conn.fetchval("select pg_backend_pid()")
    return "PostgreSQL" if pid == conn.get_server_pid() else "a pooler"


async def number_first(conn: Any) -> str:
    if await conn.fetchval("select pg_backend_pid()") == conn.get_server_pid():
        return "PostgreSQL"
    version = getattr(conn.get_settings(), "pgbouncer.version", "")
    return "PgBouncer " + version.rpartition(".")[0] if version else "a pooler"


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "direct"): what_it_says,
    (0, "unknown"): or_a_pooler,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", by_the_number_alone),
    (0, None, number_first),
)
