"""Errors of the topic `migrations`, raised live: one for each newer entry of the index."""

from __future__ import annotations

import asyncpg

from firedrill import servers

from . import of_sql, raised_by

column_already_exists = of_sql(
    "create temp table t (a int)",
    "alter table t add a int",
)

type_already_exists = of_sql(
    "create type seat_kind as enum ('a')",
    "create type seat_kind as enum ('a')",
)

type_does_not_exist = of_sql(
    "select null::no_such_type",
)

contains_null_values = of_sql(
    "create temp table t (a int)",
    "insert into t values (null)",
    "alter table t alter a set not null",
)

violated_by_some_row = of_sql(
    "create temp table t (a int)",
    "insert into t values (-1)",
    "alter table t add check (a > 0)",
)


async def new_enum_value(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())
    await conn.execute("create type seat_kind as enum ('a')")  # committed: else it is allowed
    try:
        async with conn.transaction():
            await conn.execute("alter type seat_kind add value 'b'")
            return await raised_by(conn.fetch("select 'b'::seat_kind"))
    finally:
        await conn.execute("drop type seat_kind")
        await conn.close()


cannot_be_cast_automatically = of_sql(
    "create temp table t (a text)",
    "alter table t alter a type int",
)

objects_depend_on_it = of_sql(
    "create temp table t (a int)",
    "create temp view v as select a from t",
    "drop table t",
)

used_by_a_view = of_sql(
    "create temp table t (a int)",
    "create temp view v as select a from t",
    "alter table t alter a type bigint",
)

multiple_primary_keys = of_sql(
    "create temp table t (a int primary key)",
    "alter table t add primary key (a)",
)

constraint_already_exists = of_sql(
    "create temp table t (a int constraint c check (a > 0))",
    "alter table t add constraint c check (a > 1)",
)

drop_of_a_missing_table = of_sql(
    "drop table no_such_table",
)

extension_not_available = of_sql(
    "create extension no_such_extension",
    superuser=True,
)

must_be_owner = of_sql("drop table pg_catalog.pg_description")

no_unique_constraint_for_a_reference = of_sql(
    "create temp table t (a int)",
    "create temp table u (a int references t (a))",
)

foreign_key_of_another_type = of_sql(
    "create temp table t (a int primary key)",
    "create temp table u (a text references t (a))",
)

not_in_a_transaction_block = of_sql(
    "vacuum",
)

lost_version_of_a_function = of_sql(
    "create function pg_temp.f() returns int language sql as 'select 1'",
    "create or replace function pg_temp.f() returns text language sql as 'select 1'",
)
