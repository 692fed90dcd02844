"""The errors of lesson 07: many rows at once, and one of them bad."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by

SEAT = (5, "A1", 4500)
COLUMNS = ["event_id", "label", "price_cents"]
INSERT = "insert into seats (event_id, label, price_cents) values ($1, $2, $3)"
UPSERT = """
    insert into seats (event_id, label, price_cents)
    select * from unnest($1::int[], $2::text[], $3::int[])
    on conflict ({}) do update set price_cents = excluded.price_cents"""
TWICE = [[5, 5], ["A1", "A1"], [1, 2]]


@contextlib.asynccontextmanager
async def _connection(stack: servers.Stack) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        yield conn
    finally:
        await conn.close()


async def _copy(stack: servers.Stack, row: object) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(conn.copy_records_to_table("seats", columns=COLUMNS, records=[row]))


async def _copy_file(stack: servers.Stack, source: object, **options: object) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(
            conn.copy_to_table("seats", columns=COLUMNS, source=source, format="csv", **options)
        )


async def duplicate_key(stack: servers.Stack) -> BaseException:
    return await _copy(stack, SEAT)


async def check_violation(stack: servers.Stack) -> BaseException:
    return await _copy(stack, (5, "Z1", -1))


async def null_violation(stack: servers.Stack) -> BaseException:
    return await _copy_file(stack, io.BytesIO(b"5,Z1,\n"))


async def row_of_executemany(stack: servers.Stack) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(conn.executemany(INSERT, [(5, "Z1", 4500), (5, "Z2", "4500")]))


async def element_no_sequence(stack: servers.Stack) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(conn.executemany(INSERT, [{"label": "Z1"}]))


async def aborted_transaction(stack: servers.Stack) -> BaseException:
    async with _connection(stack) as conn:
        transaction = conn.transaction()
        await transaction.start()
        await raised_by(conn.execute(INSERT, *SEAT))
        error = await raised_by(conn.fetchval("select 1"))
        await transaction.rollback()
        return error


async def row_twice(stack: servers.Stack) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(conn.execute(UPSERT.format("event_id, label"), *TWICE))


async def no_such_conflict(stack: servers.Stack) -> BaseException:
    async with _connection(stack) as conn:
        return await raised_by(conn.execute(UPSERT.format("label"), *TWICE))


async def fields_of_a_line(stack: servers.Stack) -> BaseException:
    return await _copy_file(stack, io.BytesIO(b"5,Z1\n"))


async def header_mismatch(stack: servers.Stack) -> BaseException:
    return await _copy_file(stack, io.BytesIO(b"label,event_id,price_cents\n"), header="match")


async def bare_type_error(stack: servers.Stack) -> BaseException:
    return await _copy(stack, (5, "Z1", "4500"))


async def short_row(stack: servers.Stack) -> BaseException:
    return await _copy(stack, (5, "Z1"))


async def text_for_bytes(stack: servers.Stack) -> BaseException:
    return await _copy_file(stack, io.StringIO("5,Z1,4500\n"))


async def bytes_for_a_path(stack: servers.Stack) -> BaseException:
    return await _copy_file(stack, b"5,Z1,4500\n")
