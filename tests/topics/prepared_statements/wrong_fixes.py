"""Wrong fixes for exercise 10."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


def an_option_of_sqlalchemys() -> dict[str, Any]:
    return {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


def a_setting_that_does_not_exist() -> dict[str, Any]:
    return {"server_settings": {"statement_cache_mode": "off"}}


def a_shorter_life() -> dict[str, Any]:
    return {"max_cached_statement_lifetime": 30}


async def a_name_of_ones_own(conn: Any, event: int, count: int) -> list[str]:
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


async def the_whole_event(conn: Any, event: int, labels: list[str]) -> list[Any]:
    prices = dict(
        await conn.fetch("select label, price_cents from seats where event_id = $1", event)
    )
    return [prices.get(label) for label in labels]


async def an_argument_for_each(conn: Any, event: int, labels: list[str]) -> list[Any]:
    among = ", ".join(f"${number}" for number in range(2, len(labels) + 2))
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


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "not asyncpg's"): an_option_of_sqlalchemys,
    (1, "not PostgreSQL's"): a_setting_that_does_not_exist,
    (1, "cache that is there"): a_shorter_life,
    (2, "a name of one's own"): a_name_of_ones_own,
    (2, "all rows"): all_free_seats,
    (2, "try again"): try_again,
    (3, "at once"): all_at_once,
    (3, "pasted"): pasted_into_the_query,
    (3, "whole event"): the_whole_event,
    (3, "a statement for each size"): an_argument_for_each,
}
