"""Wrong fixes for exercise 10."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg


def an_option_of_sqlalchemys() -> dict[str, Any]:
    return {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


def a_setting_that_does_not_exist() -> dict[str, Any]:
    return {"server_settings": {"statement_cache_mode": "off"}}


def a_shorter_life() -> dict[str, Any]:
    return {"max_cached_statement_lifetime": 30}


def the_pools_arguments() -> dict[str, Any]:
    return {"statement_cache_size": 0, "min_size": 1}


def a_setting_that_pgbouncer_refuses() -> dict[str, Any]:
    return {"server_settings": {"plan_cache_mode": "force_custom_plan"}}


def short_texts_are_cached() -> dict[str, Any]:
    return {"max_cacheable_statement_size": 20}


def unique_names() -> dict[str, Any]:
    return {"connection_class": UniqueNames}


def a_cache_of_one() -> dict[str, Any]:
    return {"statement_cache_size": 1}


def with_limits() -> dict[str, Any]:
    return {"statement_cache_size": 0, "timeout": 30, "command_timeout": 30}


def with_a_name() -> dict[str, Any]:
    return {"statement_cache_size": 0} | {"server_settings": {"application_name": "orders"}}


def with_a_class() -> dict[str, Any]:
    class Connection(asyncpg.Connection):
        pass

    return {"statement_cache_size": 0, "connection_class": Connection}


class UniqueNames(asyncpg.Connection):
    def _get_unique_id(self, prefix: str) -> str:
        return f"__asyncpg_{prefix}_{uuid.uuid4()}__"


def with_unique_names_too() -> dict[str, Any]:
    return {"statement_cache_size": 0, "connection_class": UniqueNames}


async def a_name_again(conn: Any, event: int, count: int) -> list[str]:
    statement = await conn.prepare(
        "select label from seats where event_id = $1 and status = 'free' order by id limit $2",
        name="free_seats",
    )
    return [row["label"] for row in await statement.fetch(event, count)]


async def all_free_seats(conn: Any, event: int, count: int) -> list[str]:
    rows = await conn.fetch(
        "select label from seats where event_id = $1 and status = 'free' order by id", event
    )
    return [row["label"] for row in rows[:count]]


async def try_again(conn: Any, event: int, count: int) -> list[str]:
    import asyncpg

    query = "select label from seats where event_id = $1 and status = 'free' order by id"
    for _ in range(5):
        try:
            async with conn.transaction():
                cursor = await conn.cursor(query, event)
                return [row["label"] for row in await cursor.fetch(count)]
        except asyncpg.PostgresError:
            pass
    return []


async def pasted_numbers(conn: Any, event: int, count: int) -> list[str]:
    rows = await conn.fetch(
        f"select label from seats where event_id = {event} and status = 'free' "
        f"order by id limit {count}"
    )
    return [row["label"] for row in rows]


async def a_pasted_limit(conn: Any, event: int, count: int) -> list[str]:
    rows = await conn.fetch(
        "select label from seats where event_id = $1 and status = 'free' "
        f"order by id limit {count}",
        event,
    )
    return [row["label"] for row in rows]


async def without_order(conn: Any, event: int, count: int) -> list[str]:
    rows = await conn.fetch(
        "select label from seats where event_id = $1 and status = 'free' limit $2", event, count
    )
    return [row["label"] for row in rows]


async def all_in_one_array(conn: Any, event: int, count: int) -> list[str]:
    labels = await conn.fetchval(
        "select array_agg(label order by id) from seats where event_id = $1 and status = 'free'",
        event,
    )
    return list(labels or [])[:count]


async def null_for_no_seats(conn: Any, event: int, count: int) -> Any:
    return await conn.fetchval(
        "select array_agg(label order by id) from (select id, label from seats "
        "where event_id = $1 and status = 'free' order by id limit $2) as free",
        event,
        count,
    )


async def exactly_so_many(conn: Any, event: int, count: int) -> list[str]:
    rows = await conn.fetch(
        "select label from seats where event_id = $1 and status = 'free' order by id limit $2",
        event,
        count,
    )
    return [rows[at]["label"] for at in range(count)]


async def one_row_of_an_array(conn: Any, event: int, count: int) -> Any:
    return await conn.fetchval(
        "select coalesce(array_agg(label order by id), '{}') from (select id, label from seats "
        "where event_id = $1 and status = 'free' order by id limit $2) as free",
        event,
        count,
    )


async def an_unnamed_statement(conn: Any, event: int, count: int) -> list[str]:
    statement = await conn.prepare(
        "select label from seats where event_id = $1 and status = 'free' order by id limit $2"
    )
    return [label async for label in _labels(statement, event, count)]


async def _labels(statement: Any, event: int, count: int) -> AsyncIterator[str]:
    for row in await statement.fetch(event, count):
        yield row["label"]


async def a_cursor_of_sql(conn: Any, event: int, count: int) -> list[str]:
    async with conn.transaction():
        await conn.execute(
            f"declare free_seats cursor for select label from seats where event_id = {event:d} "
            "and status = 'free' order by id"
        )
        rows = await conn.fetch(f"fetch {count:d} from free_seats")
    return [row["label"] for row in rows]


async def the_whole_event(conn: Any, event: int, labels: list[str]) -> list[Any]:
    prices = dict(
        await conn.fetch("select label, price_cents from seats where event_id = $1", event)
    )
    return [prices.get(label) for label in labels]


async def an_argument_for_each(conn: Any, event: int, labels: list[str]) -> list[Any]:
    among = ", ".join(f"${number}" for number in range(2, len(labels) + 2)) or "null"
    query = f"select label, price_cents from seats where event_id = $1 and label in ({among})"
    prices = dict(await conn.fetch(query, event, *labels))
    return [prices.get(label) for label in labels]


async def all_at_once(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = "select price_cents from seats where event_id = $1 and label = $2"
    return list(await asyncio.gather(*(conn.fetchval(query, event, label) for label in labels)))


async def pasted_into_the_query(conn: Any, event: int, labels: list[str]) -> list[Any]:
    among = ", ".join(f"'{label}'" for label in labels)
    rows = await conn.fetch(
        f"select label, price_cents from seats where event_id = {event} and label in ({among})"
    )
    prices = dict(rows)
    return [prices.get(label) for label in labels]


async def a_price_once(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = "select label, price_cents from seats where event_id = $1 and label = any($2)"
    prices = dict(await conn.fetch(query, event, labels))
    return [prices.get(label) for label in dict.fromkeys(labels)]


async def in_the_order_of_the_array(conn: Any, event: int, labels: list[str]) -> list[Any]:
    rows = await conn.fetch(
        "select price_cents from seats where event_id = $1 and label = any($2) "
        "order by array_position($2, label)",
        event,
        labels,
    )
    return [row["price_cents"] for row in rows]


async def nothing_costs_nothing(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = "select label, price_cents from seats where event_id = $1 and label = any($2)"
    prices = dict(await conn.fetch(query, event, labels))
    return [prices.get(label, 0) for label in labels]


async def a_pasted_event(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = f"select label, price_cents from seats where event_id = {event} and label = any($1)"
    prices = dict(await conn.fetch(query, labels))
    return [prices.get(label) for label in labels]


async def all_events(conn: Any, event: int, labels: list[str]) -> list[Any]:
    rows = await conn.fetch(
        "select event_id, label, price_cents from seats where label = any($1)", labels
    )
    prices = {row["label"]: row["price_cents"] for row in rows if row["event_id"] == event}
    return [prices.get(label) for label in labels]


async def no_labels_is_an_error(conn: Any, event: int, labels: list[str]) -> list[Any]:
    if not labels:
        raise ValueError("no labels")
    query = "select label, price_cents from seats where event_id = $1 and label = any($2)"
    prices = dict(await conn.fetch(query, event, labels))
    return [prices.get(label) for label in labels]


async def unnest_with_ordinality(conn: Any, event: int, labels: list[str]) -> list[Any]:
    rows = await conn.fetch(
        "select price_cents from unnest($2::text[]) with ordinality as wanted(label, place) "
        "left join seats on seats.label = wanted.label and event_id = $1 order by place",
        event,
        labels,
    )
    return [row["price_cents"] for row in rows]


async def many_at_once(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = "select (select price_cents from seats where event_id = $1 and label = $2)"
    return [row[0] for row in await conn.fetchmany(query, [(event, one) for one in labels])]


class Prices:
    def __init__(self, rows: Any) -> None:
        self.by_label = dict(rows)

    def of(self, label: str) -> Any:
        return self.by_label.get(label)


async def with_a_class_of_prices(conn: Any, event: int, labels: list[str]) -> list[Any]:
    query = "select label, price_cents from seats where event_id = $1 and label = any($2::text[])"
    return list(map(Prices(await conn.fetch(query, event, list(set(labels)))).of, labels))


async def a_text_for_each_seat(conn: Any, seat: int) -> Any:
    return await conn.fetchval(f"select price_cents from seats where id = {seat}")


async def a_number_as_text(conn: Any, seat: int) -> Any:
    price = await conn.fetchval("select price_cents from seats where id::text = $1", str(seat))
    return price or 0


async def prepared_each_time(conn: Any, seat: int) -> Any:
    statement = await conn.prepare("select price_cents from seats where id = $1")
    return await statement.fetchval(seat)


LABELS = "select label from seats order by id"
PAGE = "select id, label from seats where id > $1 order by id limit 50"


async def a_cursor_of_the_connection(conn: Any, write: Any) -> None:
    async with conn.transaction():
        cursor = await conn.cursor(LABELS)
        while rows := await cursor.fetch(50):
            await write([row["label"] for row in rows])


async def all_of_it_in_slices(conn: Any, write: Any) -> None:
    labels = [row["label"] for row in await conn.fetch(LABELS)]
    for start in range(0, len(labels), 50):
        await write(labels[start : start + 50])


async def _pages(conn: Any, write: Any, query: str = PAGE) -> None:
    last = 0
    while rows := await conn.fetch(query, last):
        await write([row["label"] for row in rows])
        last = rows[-1]["id"]


async def a_snapshot_for_each_page(conn: Any, write: Any) -> None:
    async with conn.transaction():
        await _pages(conn, write)


async def pages_of_one_snapshot(conn: Any, write: Any) -> None:
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        await _pages(conn, write)


async def pages_in_any_order(conn: Any, write: Any) -> None:
    async with conn.transaction(isolation="repeatable_read"):
        start = 0
        while rows := await conn.fetch("select label from seats limit 50 offset $1", start):
            await write([row["label"] for row in rows])
            start += 50


async def a_chosen_name(conn: Any, write: Any) -> None:
    async with conn.transaction():
        cursor = await (await conn.prepare(LABELS, name=f"export_{uuid.uuid4()}")).cursor()
        while rows := await cursor.fetch(50):
            await write([row["label"] for row in rows])


async def row_by_row(conn: Any, write: Any, prefetch: int = 50) -> None:
    part: list[str] = []
    async with conn.transaction():
        async for row in (await conn.prepare(LABELS)).cursor(prefetch=prefetch):
            part.append(row["label"])
            if len(part) == 50:
                await write(part)
                part = []
        if part:
            await write(part)


async def many_rows_ahead(conn: Any, write: Any) -> None:
    await row_by_row(conn, write, prefetch=200)


async def without_the_last_part(conn: Any, write: Any) -> None:
    async with conn.transaction():
        cursor = await (await conn.prepare(LABELS)).cursor()
        while len(rows := await cursor.fetch(49)) == 49:
            await write([row["label"] for row in rows])


async def an_empty_part_at_the_end(conn: Any, write: Any) -> None:
    async with conn.transaction():
        cursor = await (await conn.prepare(LABELS)).cursor()
        rows: Any = True
        while rows:
            rows = await cursor.fetch(50)
            await write([row["label"] for row in rows])


async def what_cannot_be_written_is_left_out(conn: Any, write: Any) -> None:
    async with conn.transaction():
        cursor = await (await conn.prepare(LABELS)).cursor()
        while rows := await cursor.fetch(50):
            with contextlib.suppress(Exception):
                await write([row["label"] for row in rows])


async def begin_and_commit(conn: Any, write: Any) -> None:
    await conn.execute("begin")
    await conn.execute(f"declare export cursor for {LABELS}")
    while rows := await conn.fetch("fetch 50 from export"):
        await write([row["label"] for row in rows])
    await conn.execute("commit")


async def declared_in_sql(conn: Any, write: Any) -> None:
    async with conn.transaction():
        await conn.execute(f"declare export cursor for {LABELS}")
        while rows := await conn.fetch("fetch 50 from export"):
            await write([row["label"] for row in rows])


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "one for each"): a_text_for_each_seat,
    (1, "not asyncpg's"): an_option_of_sqlalchemys,
    (1, "not PostgreSQL's"): a_setting_that_does_not_exist,
    (1, "create_pool's"): the_pools_arguments,
    (1, "refused by PgBouncer"): a_setting_that_pgbouncer_refuses,
    (1, "cache that is there"): a_shorter_life,
    (2, "a name again"): a_name_again,
    (2, "all rows"): all_free_seats,
    (2, "still a cursor"): try_again,
    (2, "pasted"): pasted_numbers,
    (3, "at once"): all_at_once,
    (3, "pasted"): pasted_into_the_query,
    (3, "whole event"): the_whole_event,
    (3, "a statement for each size"): an_argument_for_each,
    (4, "named"): a_cursor_of_the_connection,
    (4, "too early"): all_of_it_in_slices,
    (4, "two moments"): a_snapshot_for_each_page,
}

OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = ()
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "cache that is there", short_texts_are_cached),
    (1, "cache that is there", unique_names),
    (1, "cache that is there", a_cache_of_one),
    (1, None, with_limits),
    (1, None, with_a_name),
    (1, None, with_a_class),
    (1, None, with_unique_names_too),
    (2, "pasted", a_pasted_limit),
    (2, "", without_order),
    (2, "all rows", all_in_one_array),
    (2, "", null_for_no_seats),
    (2, "", exactly_so_many),
    (2, None, one_row_of_an_array),
    (2, None, an_unnamed_statement),
    (2, None, a_cursor_of_sql),
    (3, "", a_price_once),
    (3, "", in_the_order_of_the_array),
    (3, "", nothing_costs_nothing),
    (3, "a statement for each size", a_pasted_event),
    (3, "whole event", all_events),
    (3, "", no_labels_is_an_error),
    (3, None, unnest_with_ordinality),
    (3, None, many_at_once),
    (3, None, with_a_class_of_prices),
    (0, "", a_number_as_text),
    (0, None, prepared_each_time),
    (4, "two moments", _pages),
    (4, "named", a_chosen_name),
    (4, "too early", many_rows_ahead),
    (4, "", pages_in_any_order),
    (4, "", without_the_last_part),
    (4, "", an_empty_part_at_the_end),
    (4, "", what_cannot_be_written_is_left_out),
    (4, "", begin_and_commit),
    (4, None, pages_of_one_snapshot),
    (4, None, row_by_row),
    (4, None, declared_in_sql),
)
