"""The errors of lesson 14: payloads, channels, callbacks, and a queue that a listener holds up."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from firedrill import servers

from ..raising import raised_by

NOTIFY = "select pg_notify($1, $2)"


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    admin = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
    await admin.execute("alter system set max_notify_queue_pages = 64")
    stack.postgres.restart()
    dsn = stack.postgres.dsn()
    conn, shop = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    raised: dict[str, BaseException] = {
        "pool has no add_listener": await raised_by(_of_the_pool(dsn)),
        "payload too long": await raised_by(shop.execute(NOTIFY, "sold", "é" * 4000)),
        "channel name": await raised_by(shop.execute(NOTIFY, "c" * 64, "")),
        "expected a callable": await raised_by(conn.add_listener("sold", None)),
        "cannot switch to state": await raised_by(_too_few(dsn, shop)),
    }
    try:
        _two(conn, 1, "sold", "A1")  # type: ignore[call-arg,arg-type]
    except TypeError as error:
        raised["callback arguments"] = error
    await conn.add_listener("sold", lambda *_: None)
    await conn.execute("begin; select 1")
    raised["notify queue"] = await raised_by(_fill(shop))
    await conn.close()
    await shop.close()
    return raised


async def _of_the_pool(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await pool.add_listener("sold", print)


def _two(channel: str, payload: str) -> None:
    pass


async def _too_few(dsn: str, shop: Any) -> None:
    async def two(channel: str, payload: str) -> None:
        pass

    heard = asyncio.Event()
    conn = await asyncpg.connect(dsn)
    await conn.add_listener("few", two)
    await conn.add_listener("sold", lambda *_: heard.set())
    await shop.execute("select pg_notify('few', ''), pg_notify('sold', '')")
    await asyncio.wait_for(heard.wait(), 10)
    await conn.execute("select 1")


async def _fill(shop: Any) -> None:
    for number in range(1000):
        await shop.execute(NOTIFY, "sold", f"{number:07900}")
