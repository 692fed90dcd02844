"""Minutes of a service that really ran: its spans, PostgreSQL's log, and five numbers, sampled.

Each incident happens on the check's own servers. OpenTelemetry traces while it lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from ... import libraries, views
from ...checking.connections import admin
from ...checking.waiting import until
from ...servers.stack import Stack

Minute = dict[str, Any]
SIZE = 2  # of the service's pool

NUMBERS = """
    select (select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)::float
            from pg_stat_activity where backend_type = 'client backend'
            and pid <> pg_backend_pid()) as oldest_transaction_seconds,
           (select sum(n_dead_tup) from pg_stat_user_tables)::int as dead_rows,
           pg_notification_queue_usage() as notification_queue_ratio"""


class Service:
    """What an incident happens to: a pool, clients of PgBouncer, and who looks."""

    def __init__(self, stack: Stack, look: Any, pool: Any) -> None:
        self.stack, self.look, self.pool = stack, look, pool
        self.waiting = 0
        self.numbers: list[dict[str, float]] = []
        self._log_before = len(stack.postgres.log())

    @property
    def log(self) -> str:
        return self.stack.postgres.log()[self._log_before :]

    async def request(self, work: Callable[[Any], Awaitable[Any]]) -> None:
        self.waiting += 1
        try:
            conn = await self.pool.acquire()
        finally:
            self.waiting -= 1
        try:
            await work(conn)
        finally:
            await self.pool.release(conn)

    async def sample(self) -> dict[str, float]:
        """The numbers of now, which the minute keeps."""
        pools = await views.show(self.stack.pgbouncer, "pools")
        self.numbers.append(
            {
                "waiting_acquires": self.waiting,
                **await self.look.fetchrow(NUMBERS),
                "pgbouncer_clients_waiting": sum(one["cl_waiting"] for one in pools),
                "pgbouncer_maxwait_seconds": max(
                    one["maxwait"] + one["maxwait_us"] / 1e6 for one in pools
                ),
            }
        )
        return self.numbers[-1]

    async def has(self, number: str, above: float) -> None:
        async def now() -> bool:
            return (await self.sample())[number] > above

        await until(now, f"{number} is above {above}")


Incident = Callable[[Service], Awaitable[None]]


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[Any]:
    conn = await asyncpg.connect(dsn)
    try:
        yield conn
    finally:
        conn.terminate()


async def record(stack: Stack, look: Any, incident: Incident) -> Minute:
    """One minute, as its evidence: `spans`, `log`, `numbers`."""
    await _at_rest(look)
    async with asyncpg.create_pool(stack.postgres.dsn(), min_size=SIZE, max_size=SIZE) as pool:
        service = Service(stack, look, pool)
        with _traced() as spans:
            await service.sample()
            await incident(service)
        log = service.log
    return {"spans": spans, "log": log, "numbers": service.numbers}


async def prepared(stack: Stack) -> Any:
    """Who looks, of a PostgreSQL that logs waits and slow statements."""
    look = await admin(stack)
    for setting in (
        "log_lock_waits = on",
        "deadlock_timeout = '100ms'",
        "log_min_duration_statement = '150ms'",
    ):
        await look.execute(f"alter system set {setting}")
    await look.execute("select pg_reload_conf()")
    return look


async def _at_rest(look: Any) -> None:
    async def nobody() -> bool:
        await look.execute("vacuum")
        row = await look.fetchrow(NUMBERS)
        return not any(row.values())

    await until(nobody, "the incident before is over")


@contextlib.contextmanager
def _traced() -> Any:
    libraries.provide("seeing_it_in_production")
    from opentelemetry.instrumentation.asyncpg import (  # type: ignore[import-not-found]
        AsyncPGInstrumentor,
    )
    from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found]
    from opentelemetry.sdk.trace.export import (  # type: ignore[import-not-found]
        SimpleSpanProcessor,
    )
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # type: ignore[import-not-found]
        InMemorySpanExporter,
    )

    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans: list[dict[str, Any]] = []
    AsyncPGInstrumentor().instrument(tracer_provider=provider)
    try:
        yield spans
    finally:
        AsyncPGInstrumentor().uninstrument()
        spans += [
            {
                "name": span.name,
                "seconds": (span.end_time - span.start_time) / 1e9,
                "status": span.status.status_code.name,
                "statement": span.attributes["db.statement"],
            }
            for span in exporter.get_finished_spans()
            if not _of_who_looks(span.attributes["db.statement"])
        ]


def _of_who_looks(statement: str) -> bool:
    return "pg_stat_" in statement


async def ended(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
