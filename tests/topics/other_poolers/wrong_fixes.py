"""Wrong and right answers to exercise 18."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FEE = "select cents from fees"


async def a_text_for_each_and_the_session(conn: Any, schema: str) -> Any:
    """The starter of somebody who has read of the statement only: set once for each client."""
    if conn not in known:
        known.append(conn)
        quoted = '"' + schema.replace('"', '""') + '"'
        await conn.execute(f"set search_path = {quoted}")
    return await conn.fetchval(f"select cents::text from fees /* {schema.encode().hex()} */")


known: list[Any] = []


async def for_the_transaction(conn: Any, schema: str) -> Any:
    async with conn.transaction():
        await conn.execute("select set_config('search_path', quote_ident($1), true)", schema)
        return await conn.fetchval(FEE)


async def as_it_came(conn: Any, schema: str) -> Any:
    return await conn.fetchval(f'select cents from "{schema}".fees')


async def quoted_here(conn: Any, schema: str) -> Any:
    quoted = '"' + schema.replace('"', '""') + '"'
    return await conn.fetchval(f"select cents from {quoted}.fees")


async def another_text_for_each(conn: Any, schema: str) -> Any:
    async with conn.transaction():
        await conn.execute("select set_config('search_path', quote_ident($1), true)", schema)
        return await conn.fetchval(f"{FEE} /* {schema.encode().hex()} */")


async def copy(pool: Any, rows: Any) -> None:
    async with pool.acquire() as conn:
        await conn.copy_records_to_table("tickets", records=rows)


async def copy_in_a_transaction(pool: Any, rows: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.copy_records_to_table("tickets", records=rows)


async def one_by_one(pool: Any, rows: Any) -> None:
    for row in rows:
        await pool.execute("insert into tickets values ($1, $2)", *row)


async def no_bad_rows(pool: Any, rows: Any) -> None:
    good = [row for row in rows if row[1] is not None]
    await pool.executemany("insert into tickets values ($1, $2)", good)


async def by_executemany(pool: Any, rows: Any) -> None:
    await pool.executemany("insert into tickets values ($1, $2)", rows)


async def by_unnest(pool: Any, rows: Any) -> None:
    ids, labels = zip(*rows, strict=True)
    await pool.execute(
        "insert into tickets select * from unnest($1::int[], $2::text[])", list(ids), list(labels)
    )


async def copy_and_leave(pool: Any, rows: Any) -> None:
    async with pool.acquire() as conn:
        try:
            await conn.copy_records_to_table("tickets", records=rows)
        finally:
            await conn.close()


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "leaks"): a_text_for_each_and_the_session,
    (1, "shared"): for_the_transaction,
    (1, "in the SQL"): as_it_came,
    (2, "kept"): copy,
    (2, "part"): one_by_one,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = ()
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, quoted_here),
    (1, None, another_text_for_each),
    (2, "kept", copy_in_a_transaction),
    (2, "", no_bad_rows),
    (2, None, by_executemany),
    (2, None, by_unnest),
    (2, None, copy_and_leave),
)
