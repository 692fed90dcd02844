"""Errors of the topic `json_and_codecs`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import json

import asyncpg

from firedrill import servers

from . import of_sql, raised_by

zero_character_in_jsonb = of_sql(
    "select '\"\\u0000\"'::jsonb",
)

scalar_for_an_array = of_sql(
    "select jsonb_array_length('null'::jsonb)",
)

date_before_year_1 = of_sql(
    "select '0044-03-15 BC'::date",
)

infinite_date = of_sql(
    "select 'infinity'::date - current_date",
)


async def key_of_a_composite(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    await conn.execute("create type place as (x int, y int)")
    error = await raised_by(conn.fetch("select $1::place", {"x": 1, "z": 2}))
    await conn.execute("drop type place")
    await conn.close()
    return error


async def columns_of_a_composite(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    await conn.execute("create type place as (x int, y int)")
    error = await raised_by(conn.fetch("select $1::place", (1,)))
    await conn.execute("drop type place")
    await conn.close()
    return error


async def nan_in_json(stack: servers.Stack) -> BaseException:
    try:
        json.dumps(float("nan"), allow_nan=False)
    except ValueError as error:
        return error
    raise AssertionError("nothing was raised")
