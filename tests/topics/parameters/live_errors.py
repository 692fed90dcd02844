"""The errors of lesson 06: values, and the places where they stand."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by

QUERIES: dict[str, tuple[Any, ...]] = {
    "multiple commands": ("select title from events; select email from customers",),
    "syntax error": ("select title from events where title = 'O'Brien'",),
    "no parameter here": ("select * from $1", "events"),
    "other placeholders": ("select title from events where id = :id", 5),
    "number of arguments": ("select title from events where title like '%$1%'", "show"),
    "no such column": ("select title from events order by shoe_size",),
    "wrong type for a parameter": ("select title from events where id = $1", "5"),
    "out of range": ("select title from events where id = $1", 2**31),
    "zero byte": ("select title from events where title = $1", "Late\0Show"),
    "text of another type": ("select title from events where id = $1::text::int", "seven"),
    "list for IN": ("select title from events where id in ($1)", [1, 2]),
    "array expected": ("select title from events where id = any($1)", "1,2"),
    "too many arguments": (
        f"select 1 where 1 in ({', '.join(f'${n}::int' for n in range(1, 32769))})",
        *range(32768),
    ),
    "untyped parameter": ("select jsonb_build_object('event', $1)", 5),
    "operator does not exist": ("select title from events where id = $1 or title = $1", 5),
    "aware for timestamp": ("select $1::timestamp", datetime(2026, 12, 4, 20, tzinfo=UTC)),
    "no such time zone": ("select now() at time zone $1", "Asia/Tokio"),
}


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    conn = await asyncpg.connect(stack.postgres.dsn())
    raised = {what: await raised_by(conn.fetch(*query)) for what, query in QUERIES.items()}
    row = await conn.fetchrow("select id, timestamptz 'infinity' as until from events")
    raised["no attribute of a record"] = await raised_by(_later(lambda: row.id))
    raised["naive compared with aware"] = await raised_by(
        _later(lambda: row["until"] > datetime.now(UTC))
    )
    return raised


def _later(action: Any) -> Awaitable[object]:
    async def call() -> object:
        return action()

    return call()
