"""Errors of the topic `parameters`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from . import of_sql

value_too_long = of_sql(
    "create temp table t (a varchar(3))",
    "insert into t values ('four')",
)

numeric_overflow = of_sql(
    "select 12345::numeric(4,2)",
)

integer_out_of_range = of_sql(
    "select 2147483647 + 1",
)

division_by_zero = of_sql(
    "select 1 / 0",
)

date_out_of_range = of_sql(
    "select '2026-02-31'::date",
)

no_such_function = of_sql(
    "select no_such_function(1)",
)

function_not_unique = of_sql(
    "select '1' + '2'",
)

ambiguous_column = of_sql(
    "select id from (select 1 as id) a, (select 2 as id) b",
)

group_by = of_sql(
    "select a from (select 1 as a, 2 as b) t group by b",
)

integer_equals_array = of_sql(
    "select 1 = array[1]",
)

missing_from = of_sql(
    "select orders.id from orders o",
)

no_parameter = of_sql(
    "do $$ begin perform $1; end $$",
)

expression_of_another_type = of_sql(
    "create temp table t (a int)",
    "insert into t select 'x'::text",
)

cannot_cast = of_sql(
    "select true::date",
)

more_than_one_row_of_a_subquery = of_sql(
    "select (select generate_series(1, 2))",
)

more_expressions_than_columns = of_sql(
    "create temp table t (a int)",
    "insert into t (a) values (1, 2)",
)

schema_missing = of_sql(
    "create table no_such_schema.t (a int)",
)

generated_always = of_sql(
    "create temp table t (a int generated always as identity)",
    "insert into t values (1)",
)

invalid_regular_expression = of_sql(
    "select 'a' ~ '('",
)

malformed_array = of_sql(
    "select '[1, 2]'::int[]",
)

negative_limit = of_sql(
    "select 1 limit -1",
)

stack_depth = of_sql(
    "create function pg_temp.f(a int) returns int language plpgsql "
    "as 'begin return pg_temp.f(a + 1); end'",
    "select pg_temp.f(1)",
)


async def no_item_assignment(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    row = await conn.fetchrow("select 1 as seat")
    await conn.close()
    try:
        row["seat"] = 2
    except TypeError as error:
        return error
    raise AssertionError("nothing was raised")
