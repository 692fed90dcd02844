"""The errors of lesson 06: values, and the places where they stand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by

TITLE = "select title from events where {}"
# One more than a query may have.
MANY = ", ".join(f"${number}::int" for number in range(1, 32769))


async def _query(stack: servers.Stack, query: str, *values: Any) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        return await raised_by(conn.fetch(query, *values))
    finally:
        await conn.close()


async def multiple_commands(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select title from events; select email from customers")


async def syntax_error(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("title = 'O'Brien'"))


async def no_parameter_here(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select * from $1", "events")


async def other_placeholders(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = :id"), 5)


async def number_of_arguments(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("title like '%$1%'"), "show")


async def no_such_column(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select title from events order by shoe_size")


async def wrong_type_for_a_parameter(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = $1"), "5")


async def out_of_range(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = $1"), 2**31)


async def zero_byte(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("title = $1"), "Late\0Show")


async def text_of_another_type(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = $1::text::int"), "seven")


async def list_for_IN(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id in ($1)"), [1, 2])


async def array_expected(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = any($1)"), "1,2")


async def too_many_arguments(stack: servers.Stack) -> BaseException:
    return await _query(stack, f"select 1 where 1 in ({MANY})", *range(32768))


async def untyped_parameter(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select jsonb_build_object('event', $1)", 5)


async def operator_does_not_exist(stack: servers.Stack) -> BaseException:
    return await _query(stack, TITLE.format("id = $1 or title = $1"), 5)


async def aware_for_timestamp(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select $1::timestamp", datetime(2026, 12, 4, 20, tzinfo=UTC))


async def no_such_time_zone(stack: servers.Stack) -> BaseException:
    return await _query(stack, "select now() at time zone $1", "Asia/Tokio")


async def no_attribute_of_a_record(stack: servers.Stack) -> BaseException:
    return await _use(stack, "select id from events", lambda row: row.id)


async def naive_compared_with_aware(stack: servers.Stack) -> BaseException:
    return await _use(
        stack,
        "select timestamptz 'infinity' as until",
        lambda row: row["until"] > datetime.now(UTC),
    )


async def _use(stack: servers.Stack, query: str, use: Callable[[Any], object]) -> BaseException:
    """The query is right; what raises is what its first row is used for."""

    async def used() -> object:
        return use(await conn.fetchrow(query))

    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        return await raised_by(used())
    finally:
        await conn.close()
