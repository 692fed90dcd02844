"""The service of both tasks: its engine, its sessions, and who looks from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until

SIZE = 2  # connections of the pool
GIFTS = """
    create table gifts (code text primary key, order_id int not null references orders);
    grant all on gifts to encore;
    insert into gifts values ('TAKEN', 1)"""
OPEN = """
    select count(*) from pg_stat_activity
    where usename = 'encore' and state like 'idle in transaction%'"""


@dataclass
class Service:
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    admin: Any

    @property
    def lent(self) -> int:
        """Connections of the pool that somebody has."""
        count: int = self.engine.pool.checkedout()  # type: ignore[attr-defined]
        return count

    async def in_transaction(self) -> int:
        """Sessions on the server that hold a transaction and run nothing."""
        count: int = await self.admin.fetchval(OPEN)
        return count


@asynccontextmanager
async def running() -> AsyncIterator[Service]:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(GIFTS)
        url = stack.postgres.dsn().replace("postgresql:", "postgresql+asyncpg:")
        engine = create_async_engine(url, pool_size=SIZE, max_overflow=0, pool_timeout=2)
        try:
            yield Service(engine, async_sessionmaker(engine), look)
        finally:
            await engine.dispose()


async def gives_back(exam: Examination, service: Service) -> None:
    back = await until(lambda: not service.lent, "the connections are back", 1)
    exam.criterion(
        "every connection is back in the pool",
        bool(back),
        f"{SIZE} of {SIZE}" if back else f"{service.lent} of {SIZE} did not come back",
    )
