"""Wrong and right answers to the warm-up of exercise 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

COUNT = "select count(*) from pg_prepared_statements"


async def with_itself(conn: Any) -> Any:
    return await conn.fetchval(COUNT)


async def of_a_new_session(conn: Any) -> Any:
    address = conn._addr
    other = await asyncpg.connect(
        host=address[0],
        port=address[1],
        user=conn._params.user,
        password=conn._params.password,
        database=conn._params.database,
        statement_cache_size=0,
    )
    try:
        return int((await other.fetch(COUNT + " where name <> ''"))[0][0])
    finally:
        await other.close()


async def one_less(conn: Any) -> Any:
    return await conn.fetchval(COUNT) - 1


async def by_name(conn: Any) -> Any:
    rows = await conn.fetch("select statement from pg_prepared_statements")
    return len([row for row in rows if "pg_prepared_statements" not in row["statement"]])


async def without_parameters(conn: Any) -> Any:
    return await conn.fetchval(
        COUNT + " where parameter_types = '{}' and statement not like '%pg_prepared_statements%'"
    )


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "itself"): with_itself,
    (0, "another"): of_a_new_session,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", without_parameters),
    (0, None, by_name),
    (0, None, one_less),
)
