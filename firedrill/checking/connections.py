"""The check's own connections."""

from __future__ import annotations

from typing import Any

import asyncpg

from ..servers.server import SUPERUSER, Server
from ..servers.stack import Stack


async def admin(servers: Stack | Server, database: str | None = None) -> Any:
    """A superuser's connection to PostgreSQL itself. It ends with the servers."""
    postgres = servers.postgres if isinstance(servers, Stack) else servers
    return await asyncpg.connect(postgres.dsn(database, user=SUPERUSER))


async def usable(conn: Any) -> tuple[bool, str]:
    """Whether the next borrower could work with this connection; and what was seen."""
    if conn.is_closed():
        return False, "it is closed"
    if conn.is_in_transaction():
        return False, "a transaction is left open"
    return await conn.fetchval("select 1") == 1, "it can be used"
