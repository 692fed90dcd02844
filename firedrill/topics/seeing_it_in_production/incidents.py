"""What broke, in one minute each; and one in which nothing did."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from .minute import SIZE, Incident, Service, connected, ended

SEAT = "select price_cents from seats where id = 1"
BUY = "update seats set status = 'held' where id = 17"
FEW = "update seats set price_cents = price_cents where id <= 10"


async def _usual(conn: Any) -> None:
    await conn.fetchval(SEAT)


async def _buys(conn: Any) -> None:
    await conn.execute(BUY)


async def pool(service: Service) -> None:
    """All connections are held by requests that wait for another service."""
    answered = asyncio.Event()

    async def asks_another_service(conn: Any) -> None:
        await conn.fetchval(SEAT)
        await answered.wait()

    tasks = [asyncio.create_task(service.request(asks_another_service)) for _ in range(SIZE)]
    tasks += [asyncio.create_task(service.request(_usual)) for _ in range(3)]
    await service.has("waiting_acquires", 2)
    answered.set()
    await ended(*tasks)


async def lock(service: Service) -> None:
    """A session holds a row; requests wait for it, with the pool's connections."""
    async with connected(service.stack.postgres.dsn()) as holder:
        await holder.execute("begin")
        await holder.execute(BUY)
        tasks = [asyncio.create_task(service.request(_buys)) for _ in range(SIZE)]
        tasks += [asyncio.create_task(service.request(_usual)) for _ in range(2)]
        while "still waiting for" not in service.log:
            await service.has("waiting_acquires", 1)
        await holder.execute("rollback")
        await ended(*tasks)


async def transaction(service: Service) -> None:
    """A snapshot is held, and vacuum removes nothing."""
    async with connected(service.stack.postgres.dsn()) as forgotten:
        await forgotten.execute("begin isolation level repeatable read; select 1")
        await service.request(_usual)
        await service.look.execute("update seats set price_cents = price_cents")
        await service.look.execute("vacuum seats")
        await service.has("dead_rows", 100)
        await service.has("oldest_transaction_seconds", 0.2)


async def pgbouncer(service: Service) -> None:
    """All server connections of PgBouncer are in transactions."""
    async with contextlib.AsyncExitStack() as ends:
        dsn = service.stack.pgbouncer.dsn("transaction")
        clients = [await ends.enter_async_context(connected(dsn)) for _ in range(6)]
        for client in clients[:5]:
            await client.execute("begin")
        waits = asyncio.create_task(clients[5].fetchval(SEAT))
        await service.has("pgbouncer_maxwait_seconds", 0.25)
        await clients[0].execute("rollback")
        await ended(waits)


async def listener(service: Service) -> None:
    """One that listens does not read."""
    async with connected(service.stack.postgres.dsn()) as deaf:
        await deaf.execute("listen sold")
        await deaf.execute("begin")
        for n in range(20):
            await service.look.execute("select pg_notify('sold', $1)", f"{n}".ljust(7000))
        await service.request(_usual)
        await service.has("notification_queue_ratio", 0)


async def nothing(service: Service) -> None:
    """A report of each night: a long transaction, which nobody waits for."""

    async def reports(conn: Any) -> None:
        async with conn.transaction():
            await conn.execute(FEW)
            await conn.fetchval("select sum(price_cents) from seats, pg_sleep(0.4)")

    task = asyncio.create_task(service.request(reports))
    await service.has("oldest_transaction_seconds", 0.2)
    await service.request(_usual)
    await ended(task)


# In this order; and what each is called.
INCIDENTS: tuple[tuple[str | None, Incident], ...] = (
    ("pool", pool),
    ("lock", lock),
    ("listener", listener),
    (None, nothing),
    ("transaction", transaction),
    ("pgbouncer", pgbouncer),
)
