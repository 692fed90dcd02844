"""Wrong fixes for exercise 13."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime
from itertools import islice
from typing import Any

import asyncpg

from .answers import ANSWERS

ORDERS = "select id, total_cents, basket from orders order by id"


# Task 1


async def list_from_a_cursor(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        rows = [tuple(row) async for row in conn.cursor(ORDERS, prefetch=500)]
    for begin in range(0, len(rows), 500):
        await send(rows[begin : begin + 500])


async def send_in_the_loop(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        orders = await conn.cursor(ORDERS)
        while rows := await orders.fetch(500):
            await send([tuple(row) for row in rows])


async def keyset(pool: Any, send: Any) -> None:
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 order by id limit 500", last
    ):
        await send([tuple(row) for row in rows])
        last = rows[-1]["id"]


async def copy_into_memory(pool: Any, send: Any) -> None:
    data = io.BytesIO()
    async with pool.acquire() as conn:
        await conn.copy_from_query(ORDERS, output=data)
    rows = [line.split("\t") for line in data.getvalue().decode().splitlines()]
    for begin in range(0, len(rows), 500):
        await send(
            [(int(id), int(cents), basket) for id, cents, basket in rows[begin : begin + 500]]
        )


async def pages_of_one_snapshot(pool: Any, send: Any) -> None:
    last = 0
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
        while rows := await conn.fetch(
            "select id, total_cents, basket from orders where id > $1 order by id limit 500", last
        ):
            await send([tuple(row) for row in rows])
            last = rows[-1]["id"]


async def offset(pool: Any, send: Any) -> None:
    number = 0
    while rows := await pool.fetch(f"{ORDERS} limit 500 offset 500 * $1::int", number):
        await send([tuple(row) for row in rows])
        number += 1


async def with_hold(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn:
        await conn.execute(f"declare export cursor with hold for {ORDERS}")
        while rows := await conn.fetch("fetch 500 from export"):
            await send([tuple(row) for row in rows])
        await conn.execute("close export")


async def copy_to_a_file(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile() as file:
        async with pool.acquire() as conn:
            await conn.copy_from_query(
                f"select json_build_array(id, total_cents, basket::text) from ({ORDERS}) o",
                output=file,
                format="csv",
                delimiter="\x01",
                quote="\x02",
            )
        file.seek(0)
        batch: list[Any] = []
        for line in file:
            batch.append(tuple(json.loads(line)))
            if len(batch) == 500:
                await send(batch)
                batch = []
        if batch:
            await send(batch)


async def pages_to_a_file(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile("w+") as file:
        last = 0
        while rows := await pool.fetch(
            "select id, total_cents, basket from orders where id > $1 order by id limit 500", last
        ):
            file.writelines(json.dumps(tuple(row)) + "\n" for row in rows)
            last = rows[-1]["id"]
        await _send_lines(file, send)


async def pages_to_a_file_in_one_block(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile("w+") as file:
        last = 0
        async with pool.acquire() as conn, conn.transaction():
            while rows := await conn.fetch(
                "select id, total_cents, basket from orders where id > $1 order by id limit 500",
                last,
            ):
                file.writelines(json.dumps(tuple(row)) + "\n" for row in rows)
                last = rows[-1]["id"]
        await _send_lines(file, send)


async def pages_of_one_snapshot_to_a_file(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile("w+") as file:
        last = 0
        async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read"):
            while rows := await conn.fetch(
                "select id, total_cents, basket from orders where id > $1 order by id limit 500",
                last,
            ):
                file.writelines(json.dumps(tuple(row)) + "\n" for row in rows)
                last = rows[-1]["id"]
        await _send_lines(file, send)


async def _send_lines(file: Any, send: Any) -> None:
    file.seek(0)
    while batch := [tuple(json.loads(line)) for line in islice(file, 500)]:
        await send(batch)


async def without_the_baskets(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile("w+") as file:
        async with pool.acquire() as conn, conn.transaction():
            async for row in conn.cursor(ORDERS, prefetch=500):
                file.write(json.dumps([row["id"], row["total_cents"], "{}"]) + "\n")
        await _send_lines(file, send)


# Task 2

Page = tuple[list[int], str | None]
NEWEST_FIRST = "order by placed_at desc, id desc"


async def by_number(conn: Any, token: str | None) -> Page:
    number = int(token or 0)
    rows = await conn.fetch(
        f"select id from orders {NEWEST_FIRST} limit 10 offset 10 * $1::int", number
    )
    return [row["id"] for row in rows], str(number + 1) if len(rows) == 10 else None


async def by_id_of_the_last(conn: Any, token: str | None) -> Page:
    last = int(token) if token else None
    rows = await conn.fetch(
        f"""
        select id from orders
        where $1::int is null or (placed_at, id) < (select placed_at, id from orders where id = $1)
        {NEWEST_FIRST} limit 10""",
        last,
    )
    return [row["id"] for row in rows], str(rows[-1]["id"]) if len(rows) == 10 else None


async def by_moment(conn: Any, token: str | None) -> Page:
    before = (
        datetime.fromisoformat(token) if token else datetime.fromisoformat("9999-01-01T00:00+00:00")
    )
    rows = await conn.fetch(
        f"select id, placed_at from orders where placed_at < $1 {NEWEST_FIRST} limit 10", before
    )
    return [row["id"] for row in rows], rows[-1]["placed_at"].isoformat() if len(
        rows
    ) == 10 else None


async def after(
    conn: Any, token: str | None, limit: str, form: Callable[[datetime], str]
) -> tuple[list[Any], str | None]:
    moment, _, number = (token or "9999-01-01T00:00:00+00:00|0").partition("|")
    try:
        rows = await conn.fetch(
            "select id, placed_at from orders where (placed_at, id) < ($1, $2) "
            f"{NEWEST_FIRST} {limit}",
            datetime.fromisoformat(moment),
            int(number),
        )
    except asyncpg.DataError as error:
        raise ValueError(token) from error
    rows = rows[:10]
    return [row["id"] for row in rows], f"{form(rows[-1]['placed_at'])}|{rows[-1]['id']}" if len(
        rows
    ) == 10 else None


async def to_the_second(conn: Any, token: str | None) -> Page:
    return await after(conn, token, "limit 10", lambda moment: moment.isoformat(timespec="seconds"))


async def all_and_a_slice(conn: Any, token: str | None) -> Page:
    return await after(conn, token, "", datetime.isoformat)


async def an_empty_last_page(conn: Any, token: str | None) -> Page:
    return await after(conn, token, "limit 10", datetime.isoformat)


async def five_a_page(conn: Any, token: str | None) -> Page:
    shown, _ = await after(conn, token, "limit 10", datetime.isoformat)
    shown, more = shown[:5], len(shown) > 5
    if not more:
        return shown, None
    moment = await conn.fetchval("select placed_at from orders where id = $1", shown[-1])
    return shown, f"{moment.isoformat()}|{shown[-1]}"


async def by_moment_to_the_second(conn: Any, token: str | None) -> Page:
    before = (
        datetime.fromisoformat(token) if token else datetime.fromisoformat("9999-01-01T00:00+00:00")
    )
    rows = await conn.fetch(
        f"select id, placed_at from orders where placed_at < $1 {NEWEST_FIRST} limit 10", before
    )
    return [row["id"] for row in rows], rows[-1]["placed_at"].isoformat(timespec="seconds") if len(
        rows
    ) == 10 else None


# Task 3

Order = tuple[int, int, Any]


async def orders_of(pool: Any) -> AsyncIterator[Any]:
    async with pool.acquire() as conn, conn.transaction():
        async for row in conn.cursor(ORDERS):
            yield row


def order_of(row: Any) -> Order:
    return row["id"], row["total_cents"], json.loads(row["basket"])


async def parsed(pool: Any) -> AsyncIterator[Order]:
    async for row in orders_of(pool):
        yield order_of(row)


async def the_outer_one_only(pool: Any, wanted: Any) -> Any:
    async with aclosing(parsed(pool)) as orders:  # type: ignore[type-var]
        async for order in orders:
            if await wanted(order):
                return order
    return None


async def a_name_for_it(pool: Any, wanted: Any) -> Any:
    orders = orders_of(pool)
    async for row in orders:
        if await wanted(order_of(row)):
            return order_of(row)
    return None


async def fetched(pool: Any, wanted: Any) -> Any:
    for row in await pool.fetch(ORDERS):
        if await wanted(order_of(row)):
            return order_of(row)
    return None


async def caught(pool: Any, wanted: Any) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        async for row in conn.cursor(ORDERS):
            try:
                if await wanted(order_of(row)):
                    return order_of(row)
            except Exception:
                return None
    return None


async def cancellation_caught(pool: Any, wanted: Any) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        async for row in conn.cursor(ORDERS):
            try:
                if await wanted(order_of(row)):
                    return order_of(row)
            except asyncio.CancelledError:
                return None
    return None


async def deleted(pool: Any, wanted: Any) -> Any:
    orders = orders_of(pool)
    try:
        async for row in orders:
            if await wanted(order_of(row)):
                return order_of(row)
    finally:
        del orders
    return None


async def without_a_generator(pool: Any, wanted: Any) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        async for row in conn.cursor(ORDERS):
            if await wanted(order_of(row)):
                return order_of(row)
    return None


async def pages(pool: Any, wanted: Any) -> Any:
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 order by id limit 100", last
    ):
        for row in rows:
            if await wanted(order_of(row)):
                return order_of(row)
        last = rows[-1]["id"]
    return None


async def the_first_hundred(pool: Any, wanted: Any) -> Any:
    for row in await pool.fetch(f"{ORDERS} limit 100"):
        if await wanted(order_of(row)):
            return order_of(row)
    return None


# The warm-up, and the stretch

SUM = "select id, total_cents from orders order by id"


async def a_list_of_all(conn: Any, cents: int) -> int | None:
    total = 0
    for row in await conn.fetch(SUM):
        total += row["total_cents"]
        if total > cents:
            return int(row["id"])
    return None


async def begin_without_an_end(conn: Any, cents: int) -> int | None:
    total = 0
    await conn.execute("begin")
    async for row in conn.cursor(SUM):
        total += row["total_cents"]
        if total > cents:
            return int(row["id"])
    await conn.execute("commit")
    return None


async def batches_by_hand(conn: Any, cents: int) -> int | None:
    total, transaction = 0, conn.transaction(readonly=True)
    await transaction.start()
    try:
        cursor = await conn.cursor(SUM)
        while rows := await cursor.fetch(20):
            for row in rows:
                total += row["total_cents"]
                if total > cents:
                    return int(row["id"])
        return None
    finally:
        await transaction.rollback()


async def zero_if_never(conn: Any, cents: int) -> int:
    return await batches_by_hand(conn, cents) or 0


MOVE = """
    with batch as (select id from visits where at < $1 {}),
    gone as (delete from visits using batch where visits.id = batch.id returning visits.*)
    insert into old_visits select * from gone"""
NEXT = "select * from visits where at < $1 limit 100"
INTO_OLD = "insert into old_visits values ($1, $2, $3)"


async def _until_none(pool: Any, before: Any, rest: str) -> int:
    moved = 0
    while count := int((await pool.execute(MOVE.format(rest), before)).split()[-1]):
        moved += count
    return moved


async def all_at_once(pool: Any, before: Any) -> int:
    tag: str = await pool.execute(MOVE.format("for update skip locked"), before)
    return int(tag.split()[-1])


async def batches_in_one_block(pool: Any, before: Any) -> int:
    async with pool.acquire() as conn, conn.transaction():
        return await _until_none(conn, before, "limit 100 for update skip locked")


async def wait_for_each_row(pool: Any, before: Any) -> int:
    return await _until_none(pool, before, "order by id limit 100 for update")


async def without_a_lock(pool: Any, before: Any) -> int:
    return await _until_none(pool, before, "limit 100")


async def delete_and_then_store(pool: Any, before: Any) -> int:
    moved = 0
    delete = MOVE.replace("insert into old_visits select * from gone", "select * from gone")
    while rows := await pool.fetch(delete.format("limit 100 for update skip locked"), before):
        await pool.executemany(INTO_OLD, [tuple(row) for row in rows])
        moved += len(rows)
    return moved


async def copy_and_then_delete(pool: Any, before: Any) -> int:
    """Rows that are locked are left out; but nothing keeps another run from storing them."""
    moved = 0
    async with pool.acquire() as conn:
        while rows := await conn.fetch(f"{NEXT} for update skip locked", before):
            async with conn.transaction():
                await conn.executemany(INTO_OLD, [tuple(row) for row in rows])
                await conn.execute(
                    "delete from visits where id = any($1)", [row["id"] for row in rows]
                )
            moved += len(rows)
    return moved


async def one_run_at_a_time(pool: Any, before: Any) -> int:
    """The second run returns at once, and moves nothing, also not later."""
    async with pool.acquire() as conn:
        if not await conn.fetchval("select pg_try_advisory_lock(99)"):
            return 0
        try:
            return await _until_none(conn, before, "limit 100 for update skip locked")
        finally:
            await conn.execute("select pg_advisory_unlock(99)")


async def errors_end_the_run(pool: Any, before: Any) -> int:
    moved = 0
    try:
        while count := int(
            (await pool.execute(MOVE.format("limit 100 for update skip locked"), before)).split()[
                -1
            ]
        ):
            moved += count
    except asyncpg.PostgresError:
        pass
    return moved


async def until_the_table_is_empty(pool: Any, before: Any) -> int:
    moved = 0
    while await pool.fetchval("select true from visits where at < $1 limit 1", before):
        tag = await pool.execute(MOVE.format("limit 100 for update skip locked"), before)
        moved += int(tag.split()[-1])
    return moved


async def two_statements_in_a_block(pool: Any, before: Any) -> int:
    moved = 0
    while True:
        async with pool.acquire() as conn, conn.transaction():
            rows = await conn.fetch(f"{NEXT} for update skip locked", before)
            if not rows:
                return moved
            await conn.execute("delete from visits where id = any($1)", [row[0] for row in rows])
            await conn.copy_records_to_table("old_visits", records=rows)
        moved += len(rows)


async def from_key_to_key(pool: Any, before: Any) -> int:
    moved, last = 0, -1
    async with pool.acquire() as conn:
        while True:
            ids = await conn.fetch(
                "select id from visits where at < $1 and id > $2 order by id limit 50", before, last
            )
            if not ids:
                return moved
            last = ids[-1]["id"]
            moved += await conn.fetchval(
                """
                with free as (
                    select id from visits where id = any($1) and at < $2 for update skip locked
                ), gone as (delete from visits v using free where v.id = free.id returning v.*),
                stored as (insert into old_visits select * from gone returning 1)
                select count(*) from stored""",
                [row["id"] for row in ids],
                before,
            )


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "all at once"): list_from_a_cursor,
    (1, "open"): send_in_the_loop,
    (1, "moments"): keyset,
    (2, "moved"): by_number,
    (2, "anchor"): by_id_of_the_last,
    (2, "ties"): by_moment,
    (2, "rounded"): to_the_second,
    (2, "everything"): all_and_a_slice,
    (3, "later"): the_outer_one_only,
    (3, "never"): a_name_for_it,
    (3, "everything"): fetched,
    (3, "swallowed"): caught,
    (0, "everything"): a_list_of_all,
    (0, "left open"): begin_without_an_end,
    (4, "one transaction"): all_at_once,
    (4, "waits"): wait_for_each_row,
    (4, "twice"): copy_and_then_delete,
    (4, "half"): delete_and_then_store,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "all at once", copy_into_memory),
    (1, "open", pages_of_one_snapshot),
    (1, "moments", offset),
    (1, "moments", pages_to_a_file),
    (1, "moments", pages_to_a_file_in_one_block),
    (1, "", without_the_baskets),
    (1, None, pages_of_one_snapshot_to_a_file),
    (1, None, with_hold),
    (1, None, copy_to_a_file),
    (2, "rounded", by_moment_to_the_second),
    (2, "", five_a_page),
    (2, "", an_empty_last_page),
    (3, "", the_first_hundred),
    (3, "swallowed", cancellation_caught),
    (3, "later", deleted),
    (3, None, without_a_generator),
    (3, None, pages),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    *ANSWERS,
    (0, None, batches_by_hand),
    (0, "", zero_if_never),
    (4, "one transaction", batches_in_one_block),
    (4, "waits", without_a_lock),
    (4, "", errors_end_the_run),
    (4, "", until_the_table_is_empty),
    (4, None, one_run_at_a_time),
    (4, None, two_statements_in_a_block),
    (4, None, from_key_to_key),
)
