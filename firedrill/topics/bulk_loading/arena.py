"""The table of the arena's seats, and the check's own look at it (tasks 1 and 2)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import asyncpg

from ...checking.examination import Examination

# In task 2, options may be NULL.
TABLE = """
    drop table if exists arena_seats;
    create table arena_seats (
        label text primary key, price_cents int not null check (price_cents > 0),
        status seat_status not null, options jsonb)"""

STORED = "select label, price_cents, status::text, options::text from arena_seats"

# Of the check's own connection: code that is still running may hold a lock.
PATIENCE = {"lock_timeout": "10s"}


async def stored(look: Any) -> dict[str, tuple[int, str, Any]]:
    rows = await look.fetch(STORED)
    return {row["label"]: (row["price_cents"], row["status"], _options(row)) for row in rows}


def _options(row: Any) -> Any:
    return json.loads(row["options"]) if row["options"] else None


async def settled(exam: Examination, conn: Any) -> None:
    """What an open transaction holds would stop the check's own statements."""
    if not conn.is_closed() and conn.is_in_transaction():
        if (said := ("no transaction is left open", False, "one is")) not in exam.criteria:
            exam.criterion(*said)
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
            await conn.execute("rollback")
