"""A PgBouncer that keeps so many prepared statements for each of its server connections."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import asyncpg

from ... import servers
from ...servers.server import SUPERUSER


@contextlib.asynccontextmanager
async def pgbouncer(max_prepared_statements: int) -> AsyncIterator[servers.Stack]:
    """Separate servers for a task. With 0, PgBouncer passes statements on and knows none."""
    with servers.open() as stack:
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute(f"set max_prepared_statements = {max_prepared_statements}")
        await console.close()
        yield stack
