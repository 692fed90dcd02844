"""A recording proxy for the PostgreSQL protocol: who says what to whom, on both sides of
PgBouncer. And faults of the network.

with wire.tap(stack) as tap:
    conn = await asyncpg.connect(tap.dsn("transaction"), server_settings={"application_name": "A"})
    tap.clear()
    await conn.fetchval("select 1")
    tap.draw()
    with tap.stalled(): ...
"""

from __future__ import annotations

from typing import Literal

from ..servers.stack import Stack
from .event import Event
from .tap import Tap

__all__ = ["Event", "Tap", "tap"]


def tap(stack: Stack, in_front_of: Literal["pgbouncer", "postgres"] = "pgbouncer") -> Tap:
    """Between clients and PgBouncer, and between PgBouncer and PostgreSQL.

    With `in_front_of="postgres"`, between clients and PostgreSQL only. Backends are called A, B, C
    from now on, here and in `views`. Raises `servers.Unavailable` when PgBouncer cannot be pointed
    to the proxy.
    """
    return Tap(stack, in_front_of)
