"""More answers to exercise 13, written from its statement alone: ANSWERS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import io
import json
import os
import pickle
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

ORDERS = "select id, total_cents, basket from orders order by id"


# Task 1


async def hold_a_cursor(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute(f"declare every_order no scroll cursor with hold for {ORDERS}")
        try:
            while rows := await conn.fetch("fetch 500 from every_order"):
                await send([tuple(row) for row in rows])
        finally:
            await conn.execute("close every_order")


class Spool:
    """Orders in a file, and out of it again."""

    def __init__(self, file: Any) -> None:
        self.file = file

    async def fill(self, pool: Any) -> None:
        async with pool.acquire() as conn, conn.transaction():
            async for row in conn.cursor(ORDERS, prefetch=1000):
                pickle.dump(tuple(row), self.file)

    def batches(self) -> Any:
        self.file.seek(0)
        batch: list[Any] = []
        with contextlib.suppress(EOFError):
            while True:
                batch.append(pickle.load(self.file))
                if len(batch) == 500:
                    yield batch
                    batch = []
        if batch:
            yield batch


async def spool_to_a_file(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile() as file:
        spool = Spool(file)
        await spool.fill(pool)
        for batch in spool.batches():
            await send(batch)


async def copy_to_csv(pool: Any, send: Any) -> None:
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "orders.csv")
    try:
        await pool.copy_from_query(ORDERS, output=path, format="csv")
        with open(path, newline="", encoding="utf-8") as file:
            batch = []
            for number, total, basket in csv.reader(file):
                batch.append((int(number), int(total), basket))
                if len(batch) == 500:
                    await send(batch)
                    batch = []
            if batch:
                await send(batch)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        os.rmdir(folder)


async def copy_to_a_table(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn:
        await conn.execute(f"create temporary table all_orders as {ORDERS}")
        try:
            last = 0
            while rows := await conn.fetch(
                "select * from all_orders where id > $1 order by id limit 500", last
            ):
                last = rows[-1]["id"]
                await send([tuple(row) for row in rows])
        finally:
            await conn.execute("drop table if exists all_orders")


async def keyset(pool: Any, send: Any) -> None:
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 order by id limit 500", last
    ):
        last = rows[-1]["id"]
        await send([tuple(row) for row in rows])


async def keyset_up_to_the_last(pool: Any, send: Any) -> None:
    end = await pool.fetchval("select max(id) from orders")
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 and id <= $2 "
        "order by id limit 500",
        last,
        end,
    ):
        last = rows[-1]["id"]
        await send([tuple(row) for row in rows])


async def keyset_in_one_snapshot(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        last = 0
        while rows := await conn.fetch(
            "select id, total_cents, basket from orders where id > $1 order by id limit 500", last
        ):
            last = rows[-1]["id"]
            await send([tuple(row) for row in rows])


async def copy_into_memory(pool: Any, send: Any) -> None:
    file = io.BytesIO()
    await pool.copy_from_query(ORDERS, output=file, format="csv")
    text = io.StringIO(file.getvalue().decode(), newline="")
    rows = [(int(number), int(total), basket) for number, total, basket in csv.reader(text)]
    for begin in range(0, len(rows), 500):
        await send(rows[begin : begin + 500])


async def keep_the_held_cursor(pool: Any, send: Any) -> None:
    conn = await pool.acquire()
    async with conn.transaction():
        await conn.execute(f"declare every_order cursor with hold for {ORDERS}")
    while rows := await conn.fetch("fetch 500 from every_order"):
        await send([tuple(row) for row in rows])
    await conn.execute("close every_order")
    await pool.release(conn)


async def leave_the_table(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn:
        await conn.execute(f"create temporary table if not exists all_orders as {ORDERS}")
        last = 0
        while rows := await conn.fetch(
            "select * from all_orders where id > $1 order by id limit 500", last
        ):
            last = rows[-1]["id"]
            await send([tuple(row) for row in rows])


async def leave_the_file(pool: Any, send: Any) -> None:
    with tempfile.NamedTemporaryFile("w+", delete=False, newline="") as file:
        await pool.copy_from_query(ORDERS, output=file.name, format="csv")
        batch = []
        for number, total, basket in csv.reader(file):
            batch.append((int(number), int(total), basket))
            if len(batch) == 500:
                await send(batch)
                batch = []
        if batch:
            await send(batch)
    os.remove(file.name)


async def write_the_basket_again(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile("w+") as file:
        async with pool.acquire() as conn, conn.transaction():
            async for row in conn.cursor(ORDERS):
                file.write(json.dumps([row[0], row[1], json.loads(row[2])]) + "\n")
        file.seek(0)
        batch = []
        for line in file:
            number, total, basket = json.loads(line)
            batch.append((number, total, json.dumps(basket, separators=(",", ":"))))
            if len(batch) == 500:
                await send(batch)
                batch = []
        if batch:
            await send(batch)


async def send_twice(pool: Any, send: Any) -> None:
    async def patiently(batch: Any) -> None:
        try:
            await send(batch)
        except Exception:
            await send(batch)

    await spool_to_a_file(pool, patiently)


async def skip_what_is_not_taken(pool: Any, send: Any) -> None:
    async def boldly(batch: Any) -> None:
        with contextlib.suppress(Exception):
            await send(batch)

    await spool_to_a_file(pool, boldly)


async def forget_the_rest(pool: Any, send: Any) -> None:
    async def full(batch: Any) -> None:
        if len(batch) == 500:
            await send(batch)

    await spool_to_a_file(pool, full)


async def batches_of_a_thousand(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute(f"declare every_order no scroll cursor with hold for {ORDERS}")
        while rows := await conn.fetch("fetch 1000 from every_order"):
            await send([tuple(row) for row in rows])


async def file_with_an_open_transaction(pool: Any, send: Any) -> None:
    with tempfile.TemporaryFile() as file:
        spool = Spool(file)
        async with pool.acquire() as conn, conn.transaction():
            async for row in conn.cursor(ORDERS, prefetch=1000):
                pickle.dump(tuple(row), file)
            for batch in spool.batches():
                await send(batch)


async def held_in_an_open_transaction(pool: Any, send: Any) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute(f"create temporary table all_orders on commit drop as {ORDERS}")
        cursor = await conn.cursor("select * from all_orders order by id")
        while rows := await cursor.fetch(500):
            await send([tuple(row) for row in rows])


async def send_in_background(pool: Any, send: Any) -> None:
    sending = []
    with tempfile.TemporaryFile() as file:
        spool = Spool(file)
        await spool.fill(pool)
        for batch in spool.batches():
            sending.append(asyncio.ensure_future(send(batch)))
        await asyncio.gather(*sending)


# Task 2


async def keyset_in_json(conn: Any, token: Any) -> Any:
    after: tuple[Any, ...] = ()
    if token is not None:
        try:
            placed_at, number = json.loads(token)
            after = (datetime.fromisoformat(placed_at), number)
        except (TypeError, ValueError) as error:
            raise ValueError(f"no token: {token!r}") from error
        if after[0].tzinfo is None or type(number) is not int or not 0 < number < 2**31:
            raise ValueError(f"no token: {token!r}")
    rows = await conn.fetch(
        f"""select id, placed_at from orders
        {"where (placed_at, id) < ($1, $2)" if after else ""}
        order by placed_at desc, id desc limit 11""",
        *after,
    )
    ten = rows[:10]
    if len(rows) < 11:
        return [row["id"] for row in ten], None
    return [row["id"] for row in ten], json.dumps([ten[-1]["placed_at"].isoformat(), ten[-1]["id"]])


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def keyset_in_microseconds(conn: Any, token: Any) -> Any:
    where, values = "true", []
    if token is not None:
        try:
            packed = base64.b64decode(token, validate=True)
            if len(packed) != 16:
                raise ValueError("not 16 bytes")
            micros = int.from_bytes(packed[:8], "big")
            number = int.from_bytes(packed[8:], "big")
            if number >= 2**31 or micros >= 10**17:
                raise ValueError("too large")
        except (TypeError, ValueError) as error:
            raise ValueError("no token") from error
        where = """placed_at <= $1::timestamptz and (placed_at < $1 or id < $2)"""
        values = [EPOCH + timedelta(microseconds=micros), number]
    rows = await conn.fetch(
        f"""select id, (extract(epoch from placed_at) * 1000000)::int8 as micros,
            count(*) over () > 10 as more
        from (select id, placed_at from orders where {where}
              order by placed_at desc, id desc limit 11) eleven
        order by placed_at desc, id desc limit 10""",
        *values,
    )
    if not rows or not rows[0]["more"]:
        return [row["id"] for row in rows], None
    packed = rows[-1]["micros"].to_bytes(8, "big") + rows[-1]["id"].to_bytes(8, "big")
    return [row["id"] for row in rows], base64.b64encode(packed).decode()


async def keyset_in_sql(conn: Any, token: Any) -> Any:
    if token is not None and (token.count("/") != 1 or not token.isascii()):
        raise ValueError(token)
    placed_at, number = token.split("/") if token is not None else ("infinity", "0")
    try:
        row = await conn.fetchrow(
            """
            with eleven as (
                select id, placed_at from orders
                where (placed_at, id) < ($1::text::timestamptz, $2::text::int)
                order by placed_at desc, id desc limit 11),
            ten as (select * from eleven order by placed_at desc, id desc limit 10)
            select array(select id from ten order by placed_at desc, id desc) as ids,
                (select placed_at || '/' || id from ten order by placed_at, id limit 1) as token,
                (select count(*) from eleven) > 10 as more""",
            placed_at,
            number,
        )
    except asyncpg.DataError as error:
        raise ValueError(token) from error
    return row["ids"], row["token"] if row["more"] else None


async def where_the_last_order_was(conn: Any, token: Any) -> Any:
    rows = await conn.fetch(
        """select id from orders where $1::int is null
            or (placed_at, id) < (select placed_at, id from orders where id = $1)
        order by placed_at desc, id desc limit 11""",
        None if token is None else int(token),
    )
    ids = [row["id"] for row in rows]
    return ids[:10], str(ids[9]) if len(ids) > 10 else None


async def by_id_alone(conn: Any, token: Any) -> Any:
    rows = await conn.fetch(
        """select id from orders where id < $1 order by placed_at desc, id desc limit 11""",
        2**31 - 1 if token is None else int(token),
    )
    ids = [row["id"] for row in rows]
    return ids[:10], str(ids[9]) if len(ids) > 10 else None


def by_moment(compare: str, *, spec: str = "microseconds", at_ten: bool = False) -> Any:
    async def page(conn: Any, token: Any) -> Any:
        if token is None:
            rows = await conn.fetch(
                "select id, placed_at from orders order by placed_at desc, id desc limit 11"
            )
        else:
            moment, _, number = token.partition("_")
            rows = await conn.fetch(
                f"select id, placed_at from orders where {compare} "
                "order by placed_at desc, id desc limit 11",
                datetime.fromisoformat(moment),
                int(number),
            )
        ids = [row["id"] for row in rows][:10]
        if len(rows) < (10 if at_ten else 11):
            return ids, None
        last = rows[9]
        return ids, last["placed_at"].isoformat(timespec=spec) + "_" + str(last["id"])

    return page


def named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


ties_lost = named("ties_lost", by_moment("placed_at < $1 and $2::int > 0"))
id_of_another = named("id_of_another", by_moment("placed_at <= $1 and id < $2"))
milliseconds = named("milliseconds", by_moment("(placed_at, id) < ($1, $2)", spec="milliseconds"))
whole_seconds = named("whole_seconds", by_moment("(placed_at, id) < ($1, $2)", spec="seconds"))
one_page_more = named("one_page_more", by_moment("(placed_at, id) < ($1, $2)", at_ten=True))


async def written_into_the_sql(conn: Any, token: Any) -> Any:
    where = "" if token is None else f"where (placed_at, id) < ({token})"
    try:
        rows = await conn.fetch(
            f"select id, placed_at from orders {where} order by placed_at desc, id desc limit 11"
        )
    except asyncpg.PostgresError as error:
        raise ValueError(token) from error
    ids = [row["id"] for row in rows[:10]]
    if len(rows) < 11:
        return ids, None
    return ids, f"'{rows[9]['placed_at'].isoformat()}', {rows[9]['id']}"


async def all_orders_in_memory(conn: Any, token: Any) -> Any:
    rows = await conn.fetch("select id, placed_at from orders order by placed_at desc, id desc")
    keys = [(row["placed_at"], row["id"]) for row in rows]
    if token is not None:
        moment, number = token.split("|")
        after = (datetime.fromisoformat(moment), int(number))
        keys = [key for key in keys if key < after]
    ids = [number for _, number in keys[:10]]
    return ids, f"{keys[9][0].isoformat()}|{keys[9][1]}" if len(keys) > 10 else None


async def the_first_page_again(conn: Any, token: Any) -> Any:
    try:
        moment, number = json.loads(token) if token else ("9999-01-01T00:00:00+00:00", 1)
        after = datetime.fromisoformat(moment), int(number)
    except ValueError:
        after = datetime(9999, 1, 1, tzinfo=UTC), 1
    rows = await conn.fetch(
        """select id, placed_at from orders where (placed_at, id) < ($1, $2)
        order by placed_at desc, id desc limit 11""",
        *after,
    )
    ids = [row["id"] for row in rows[:10]]
    if len(rows) < 11:
        return ids, None
    return ids, json.dumps([rows[9]["placed_at"].isoformat(), rows[9]["id"]])


async def any_error_but_value(conn: Any, token: Any) -> Any:
    after: list[Any] = [None, None]
    if token is not None:
        moment, number = json.loads(base64.b64decode(token))
        after = [datetime.fromisoformat(moment), number]
    rows = await conn.fetch(
        """select id, placed_at from orders
        where $1::timestamptz is null or (placed_at, id) < ($1, $2::int)
        order by placed_at desc, id desc limit 11""",
        *after,
    )
    ids = [row["id"] for row in rows[:10]]
    if len(rows) < 11:
        return ids, None
    key = json.dumps([rows[9]["placed_at"].isoformat(), rows[9]["id"]])
    return ids, base64.b64encode(key.encode()).decode()


async def an_empty_token_is_none(conn: Any, token: Any) -> Any:
    return await keyset_in_json(conn, token or None)


async def shown_are_remembered(conn: Any, token: Any) -> Any:
    """The token holds the ids that were shown."""
    shown = json.loads(token) if token is not None else []
    rows = await conn.fetch(
        """select id from orders where id <> all($1::int[])
        order by placed_at desc, id desc limit 11""",
        shown,
    )
    ids = [row["id"] for row in rows]
    return ids[:10], json.dumps(shown + ids[:10]) if len(ids) > 10 else None


async def utc_for_everybody(conn: Any, token: Any) -> Any:
    await conn.execute("set timezone = 'UTC'")
    return await keyset_in_sql(conn, token)


# Task 3


async def close_both(pool: Any, wanted: Any) -> Any:
    async def rows() -> AsyncGenerator[Any, None]:
        async with pool.acquire() as conn, conn.transaction():
            async for row in conn.cursor(ORDERS):
                yield row

    async def orders(source: Any) -> AsyncGenerator[Any, None]:
        async for number, total, basket in source:
            yield number, total, json.loads(basket)

    async with contextlib.aclosing(rows()) as source, contextlib.aclosing(orders(source)) as them:
        async for order in them:
            if await wanted(order):
                return order
    return None


@contextlib.asynccontextmanager
async def opened(pool: Any) -> AsyncIterator[Any]:
    async with pool.acquire() as conn, conn.transaction():
        yield await conn.cursor(ORDERS)


async def in_a_context(pool: Any, wanted: Any) -> Any:
    async with opened(pool) as cursor:
        while rows := await cursor.fetch(50):
            for row in rows:
                order = (row["id"], row["total_cents"], json.loads(row["basket"]))
                if await wanted(order):
                    return order
    return None


async def in_pages(pool: Any, wanted: Any) -> Any:
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 order by id limit 100", last
    ):
        for number, total, basket in rows:
            if await wanted((number, total, json.loads(basket))):
                return number, total, json.loads(basket)
            last = number
    return None


class Orders:
    """An iterator with a connection."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    async def __aenter__(self) -> Orders:
        self.conn = await self.pool.acquire()
        try:
            self.transaction = self.conn.transaction()
            await self.transaction.start()
            self.cursor = await self.conn.cursor(ORDERS)
        except BaseException:
            await self.pool.release(self.conn)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.release(self.conn)

    def __aiter__(self) -> Orders:
        return self

    async def __anext__(self) -> Any:
        row = await self.cursor.fetchrow()
        if row is None:
            raise StopAsyncIteration
        return row["id"], row["total_cents"], json.loads(row["basket"])


async def with_a_class(pool: Any, wanted: Any) -> Any:
    async with Orders(pool) as orders:
        async for order in orders:
            if await wanted(order):
                return order
        return None


async def rows_of(pool: Any, prefetch: int = 50) -> AsyncGenerator[Any, None]:
    async with pool.acquire() as conn, conn.transaction():
        async for row in conn.cursor(ORDERS, prefetch=prefetch):
            yield row["id"], row["total_cents"], json.loads(row["basket"])


async def close_the_outer_one(pool: Any, wanted: Any) -> Any:
    async def parsed() -> AsyncGenerator[Any, None]:
        async for order in rows_of(pool):
            yield order

    async with contextlib.aclosing(parsed()) as orders:
        async for order in orders:
            if await wanted(order):
                return order
    return None


async def close_when_found(pool: Any, wanted: Any) -> Any:
    orders: Any = rows_of(pool)
    async for order in orders:
        if await wanted(order):
            await orders.aclose()
            return order
    return None


async def close_unless_cancelled(pool: Any, wanted: Any) -> Any:
    orders: Any = rows_of(pool)
    try:
        async for order in orders:
            if await wanted(order):
                await orders.aclose()
                return order
    except Exception:
        await orders.aclose()
        raise
    return None


async def close_it_later(pool: Any, wanted: Any) -> Any:
    orders: Any = rows_of(pool)
    try:
        async for order in orders:
            if await wanted(order):
                return order
    finally:
        asyncio.get_running_loop().call_later(0.05, asyncio.ensure_future, orders.aclose())
    return None


async def all_at_once(pool: Any, wanted: Any) -> Any:
    for number, total, basket in await pool.fetch(ORDERS):
        order = (number, total, json.loads(basket))
        if await wanted(order):
            return order
    return None


async def a_thousand_ahead(pool: Any, wanted: Any) -> Any:
    async with contextlib.aclosing(rows_of(pool, 1000)) as orders:
        async for order in orders:
            if await wanted(order):
                return order
    return None


async def errors_are_no(pool: Any, wanted: Any) -> Any:
    async with contextlib.aclosing(rows_of(pool)) as orders:
        async for order in orders:
            with contextlib.suppress(Exception):
                if await wanted(order):
                    return order
    return None


async def another_error(pool: Any, wanted: Any) -> Any:
    try:
        async with contextlib.aclosing(rows_of(pool)) as orders:
            async for order in orders:
                if await wanted(order):
                    return order
    except Exception as error:
        raise RuntimeError("not found") from error
    return None


async def cancelled_is_none(pool: Any, wanted: Any) -> Any:
    try:
        async with contextlib.aclosing(rows_of(pool)) as orders:
            async for order in orders:
                if await wanted(order):
                    return order
    except asyncio.CancelledError:
        return None
    return None


async def ten_at_once(pool: Any, wanted: Any) -> Any:
    last = 0
    while rows := await pool.fetch(
        "select id, total_cents, basket from orders where id > $1 order by id limit 100", last
    ):
        orders = [(number, total, json.loads(basket)) for number, total, basket in rows]
        answers = await asyncio.gather(*map(wanted, orders))
        for order, answer in zip(orders, answers, strict=True):
            if answer:
                return order
        last = rows[-1]["id"]
    return None


async def a_list(pool: Any, wanted: Any) -> Any:
    async with opened(pool) as cursor:
        while rows := await cursor.fetch(50):
            for row in rows:
                if await wanted([row[0], row[1], json.loads(row[2])]):
                    return [row[0], row[1], json.loads(row[2])]
    return None


async def with_the_lock_of_the_table(pool: Any, wanted: Any) -> Any:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("lock table orders in share mode")
        async for number, total, basket in conn.cursor(ORDERS):
            order = (number, total, json.loads(basket))
            if await wanted(order):
                return order
    return None


ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, hold_a_cursor),
    (1, None, spool_to_a_file),
    (1, None, copy_to_csv),
    (1, None, copy_to_a_table),
    (1, "moments", keyset),
    (1, "moments", keyset_up_to_the_last),
    (1, "open", keyset_in_one_snapshot),
    (1, "all at once", copy_into_memory),
    (1, "", keep_the_held_cursor),
    (1, "", leave_the_table),
    (1, "", leave_the_file),
    (1, "", write_the_basket_again),
    (1, "", send_twice),
    (1, "", skip_what_is_not_taken),
    (1, "", forget_the_rest),
    (1, "", batches_of_a_thousand),
    (1, "open", file_with_an_open_transaction),
    (1, "open", held_in_an_open_transaction),
    (1, "all at once", send_in_background),
    (2, None, keyset_in_json),
    (2, None, keyset_in_microseconds),
    (2, None, keyset_in_sql),
    (2, "anchor", where_the_last_order_was),
    (2, "", by_id_alone),
    (2, "ties", ties_lost),
    (2, "", id_of_another),
    (2, "rounded", milliseconds),
    (2, "rounded", whole_seconds),
    (2, "", one_page_more),
    (2, "", written_into_the_sql),
    (2, "everything", all_orders_in_memory),
    (2, "", the_first_page_again),
    (2, "", any_error_but_value),
    (2, "", an_empty_token_is_none),
    (2, "", shown_are_remembered),
    (2, "", utc_for_everybody),
    (3, None, close_both),
    (3, None, in_a_context),
    (3, None, in_pages),
    (3, None, with_a_class),
    (3, "later", close_the_outer_one),
    (3, "never", close_when_found),
    (3, "never", close_unless_cancelled),
    (3, "later", close_it_later),
    (3, "everything", all_at_once),
    (3, "everything", a_thousand_ahead),
    (3, "swallowed", errors_are_no),
    (3, "", another_error),
    (3, "swallowed", cancelled_is_none),
    (3, "", ten_at_once),
    (3, "", a_list),
    (3, "", with_the_lock_of_the_table),
)
