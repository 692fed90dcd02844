"""Services that share a pool. Most leave nothing on a backend that harms others, some do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Service = Callable[[Any], Awaitable[None]]


async def _seat_map(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local statement_timeout = '2s'")
        await conn.fetch("select label from seats where event_id = 5")


async def _seat_map_poisons(conn: Any) -> None:
    await conn.execute("set statement_timeout = '2s'")
    await conn.fetch("select label from seats where event_id = 5")


async def _seat_map_keeps_a_cursor(conn: Any) -> None:
    await conn.execute(
        "declare plan cursor with hold for select label from seats where event_id = 5"
    )
    await conn.execute("fetch 10 from plan")


async def _prices(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("create temporary table basket on commit drop as select 'A1' as seat")
        await conn.fetchval("select sum(price_cents) from seats join basket on label = seat")


async def _prices_poisons(conn: Any) -> None:
    await conn.execute("create temporary table basket as select 'A1' as seat")
    await conn.fetchval("select sum(price_cents) from seats join basket on label = seat")


async def _prices_prepares(conn: Any) -> None:
    await conn.execute(
        "prepare price (text) as select price_cents from seats where event_id = 5 and label = $1"
    )
    await conn.execute("execute price ('A1')")


async def _settle(conn: Any) -> None:
    async with conn.transaction():
        await conn.fetchval("select pg_try_advisory_xact_lock(11)")
        await conn.fetchval("select sum(amount_cents) from payments")


async def _settle_poisons(conn: Any) -> None:
    if await conn.fetchval("select pg_try_advisory_lock(11)"):
        await conn.fetchval("select sum(amount_cents) from payments")


async def _mails(conn: Any) -> None:
    await conn.execute("set timezone = 'Asia/Tokyo'")  # PgBouncer keeps that per client
    await conn.execute("select pg_notify('mailed', '17')")


async def _mails_poisons(conn: Any) -> None:
    await conn.execute("listen sold")


# A set of services, and which of them poisons the pool.
ROUNDS: tuple[tuple[dict[str, Service], str | None], ...] = (
    (
        {"mails": _mails, "seat map": _seat_map_poisons, "prices": _prices, "settlement": _settle},
        "seat map",
    ),
    (
        {"prices": _prices_poisons, "mails": _mails, "settlement": _settle, "seat map": _seat_map},
        "prices",
    ),
    (
        {"seat map": _seat_map, "mails": _mails, "settlement": _settle_poisons, "prices": _prices},
        "settlement",
    ),
    (
        {"settlement": _settle, "prices": _prices, "mails": _mails_poisons, "seat map": _seat_map},
        "mails",
    ),
    (
        {"mails": _mails, "prices": _prices_prepares, "seat map": _seat_map, "settlement": _settle},
        "prices",
    ),
    (
        {
            "settlement": _settle,
            "seat map": _seat_map_keeps_a_cursor,
            "mails": _mails,
            "prices": _prices,
        },
        "seat map",
    ),
    ({"prices": _prices, "settlement": _settle, "seat map": _seat_map, "mails": _mails}, None),
)
