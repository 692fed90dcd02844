"""Wrong and right answers to the warm-up of exercise 07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

INSERT = "insert into tickets values ($1, $2)"


async def a_loop_in_a_transaction(conn: Any, rows: Any) -> None:
    async with conn.transaction():
        for row in rows:
            await conn.execute(INSERT, *row)


async def in_chunks(conn: Any, rows: Any) -> None:
    for start in range(0, len(rows), 500):
        await conn.executemany(INSERT, rows[start : start + 500])


async def no_duplicates(conn: Any, rows: Any) -> None:
    await conn.executemany(INSERT + " on conflict do nothing", rows)


async def by_copy(conn: Any, rows: Any) -> None:
    await conn.copy_records_to_table("tickets", records=rows)


async def by_unnest(conn: Any, rows: Any) -> None:
    ids, labels = zip(*rows, strict=True)
    await conn.execute(
        "insert into tickets select * from unnest($1::int[], $2::text[])", ids, labels
    )


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "one by one"): a_loop_in_a_transaction,
    (0, "part"): in_chunks,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", no_duplicates),
    (0, None, by_copy),
    (0, None, by_unnest),
)
