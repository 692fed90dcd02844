"""Wrong and right answers to the stretch of exercise 17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import sqlalchemy

INSERT = sqlalchemy.text("insert into batches values (:name)")


async def copy_first(engine: Any, batch: str, rows: Any) -> None:
    async with engine.begin() as conn:
        raw = await conn.get_raw_connection()
        await raw.driver_connection.copy_records_to_table("tickets", records=rows)
        await conn.execute(INSERT, {"name": batch})


async def over_another_connection(engine: Any, batch: str, rows: Any) -> None:
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    other = await asyncpg.connect(url)
    others.append(other)
    await other.copy_records_to_table("tickets", records=rows)
    async with engine.begin() as conn:
        await conn.execute(INSERT, {"name": batch})


others: list[Any] = []


async def batch_committed_first(engine: Any, batch: str, rows: Any) -> None:
    async with engine.begin() as conn:
        await conn.execute(INSERT, {"name": batch})
    async with engine.begin() as conn:
        raw = await conn.get_raw_connection()
        await raw.driver_connection.copy_records_to_table("tickets", records=rows)


async def errors_printed(engine: Any, batch: str, rows: Any) -> None:
    try:
        async with engine.begin() as conn:
            await conn.execute(INSERT, {"name": batch})
            raw = await conn.get_raw_connection()
            await raw.driver_connection.copy_records_to_table("tickets", records=rows)
    except Exception as error:
        print(error)


async def never_committed(engine: Any, batch: str, rows: Any) -> None:
    async with engine.connect() as conn:
        await conn.execute(INSERT, {"name": batch})
        raw = await conn.get_raw_connection()
        await raw.driver_connection.copy_records_to_table("tickets", records=rows)


async def begun_by_a_question(engine: Any, batch: str, rows: Any) -> None:
    async with engine.begin() as conn:
        await conn.execute(sqlalchemy.text("select 1"))
        raw = await conn.get_raw_connection()
        await raw.driver_connection.copy_records_to_table("tickets", records=rows)
        await conn.execute(INSERT, {"name": batch})


async def all_by_the_driver(engine: Any, batch: str, rows: Any) -> None:
    async with engine.connect() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        async with driver.transaction():
            await driver.execute("insert into batches values ($1)", batch)
            await driver.copy_records_to_table("tickets", records=rows)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "too early"): copy_first,
    (4, "another"): over_another_connection,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "", batch_committed_first),
    (4, "", errors_printed),
    (4, "", never_committed),
    (4, None, begun_by_a_question),
    (4, None, all_by_the_driver),
)
