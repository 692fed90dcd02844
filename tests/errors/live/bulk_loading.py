"""Errors of the topic `bulk_loading`, raised live: one for each newer entry of the index."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg

from firedrill import servers

from . import of_sql, raised_by

exclusion_violation = of_sql(
    "create temp table t (r int4range, exclude using gist (r with &&))",
    "insert into t values ('[1,5)')",
    "insert into t values ('[2,3)')",
)

upsert_on_an_exclusion = of_sql(
    "create temp table t (r int4range, constraint c exclude using gist (r with &&))",
    "insert into t values ('[1,5)') on conflict on constraint c do update set r = excluded.r",
)


async def generated_column_in_COPY(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    await conn.execute("create temp table t (a int, b int generated always as (a) stored)")
    error = await raised_by(conn.copy_records_to_table("t", records=[(1, 2)], columns=["a", "b"]))
    await conn.close()
    return error


async def row_field_count(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    await conn.execute("create temp table t (a int, b int generated always as (a) stored)")
    error = await raised_by(conn.copy_records_to_table("t", records=[(1, 2)]))
    await conn.close()
    return error


async def async_generator_for_records(stack: servers.Stack) -> BaseException:
    async def rows() -> AsyncIterator[tuple[int]]:
        yield (1,)

    try:
        list(rows())  # type: ignore[call-overload]
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")


no_partition = of_sql(
    "create temp table t (a int) partition by range (a)",
    "insert into t values (1)",
)
