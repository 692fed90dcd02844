"""Wrong fixes for exercise 20."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

SEATS = "select count(*) from seats where event_id = $1"


def _most(minute: dict[str, Any], number: str) -> float:
    return max(float(one[number]) for one in minute["numbers"])


def the_pool_first(minute: dict[str, Any]) -> str | None:
    if _most(minute, "waiting_acquires"):
        return "pool"
    return _rest(minute)


def the_oldest_transaction_first(minute: dict[str, Any]) -> str | None:
    if _most(minute, "oldest_transaction_seconds") > 0.1:
        return "transaction"
    return _rest(minute)


def the_slowest_span(minute: dict[str, Any]) -> str | None:
    found = _rest(minute)
    if found is None and max(span["seconds"] for span in minute["spans"]) > 0.1:
        return "lock"
    return found


def _rest(minute: dict[str, Any]) -> str | None:
    if "still waiting for" in minute["log"]:
        return "lock"
    if _most(minute, "pgbouncer_clients_waiting"):
        return "pgbouncer"
    if _most(minute, "notification_queue_ratio"):
        return "listener"
    if _most(minute, "waiting_acquires"):
        return "pool"
    return "transaction" if _most(minute, "dead_rows") > 100 else None


async def by_maxwait(minute: dict[str, Any]) -> str | None:
    """Right."""
    if _most(minute, "pgbouncer_maxwait_seconds") > 0:
        return "pgbouncer"
    if _most(minute, "dead_rows") >= 400:
        return "transaction"
    return _rest(minute)


def nothing_ever(minute: dict[str, Any]) -> None:
    return None


def in_words(minute: dict[str, Any]) -> str:
    return "the pool, I think"


async def only_when_it_came(pool: Any, gauge: Any, event: int) -> int:
    gauge.waiting += 1
    conn = await pool.acquire(timeout=0.5)
    gauge.waiting -= 1
    try:
        seats: int = await conn.fetchval(SEATS, event)
        return seats
    finally:
        await pool.release(conn)


async def but_not_cancelled(pool: Any, gauge: Any, event: int) -> int:
    gauge.waiting += 1
    try:
        conn = await pool.acquire(timeout=0.5)
    except Exception:
        gauge.waiting -= 1
        raise
    gauge.waiting -= 1
    try:
        seats: int = await conn.fetchval(SEATS, event)
        return seats
    finally:
        await pool.release(conn)


async def while_it_holds(pool: Any, gauge: Any, event: int) -> int:
    gauge.waiting += 1
    try:
        async with pool.acquire(timeout=0.5) as conn:
            seats: int = await conn.fetchval(SEATS, event)
            return seats
    finally:
        gauge.waiting -= 1


async def released_at_the_end(pool: Any, gauge: Any, event: int) -> int:
    gauge.waiting += 1
    try:
        conn = await pool.acquire(timeout=0.5)
    finally:
        gauge.waiting -= 1
    seats: int = await conn.fetchval(SEATS, event)
    await pool.release(conn)
    return seats


async def without_a_limit(pool: Any, gauge: Any, event: int) -> int:
    gauge.waiting += 1
    try:
        conn = await pool.acquire()
    finally:
        gauge.waiting -= 1
    try:
        seats: int = await conn.fetchval(SEATS, event)
        return seats
    finally:
        await pool.release(conn)


async def with_wait_for(pool: Any, gauge: Any, event: int) -> int:
    """Right."""
    gauge.waiting += 1
    try:
        async with asyncio.timeout(0.5):
            conn = await pool.acquire()
    finally:
        gauge.waiting -= 1
    try:
        rows = await conn.fetch("select id from seats where event_id = $1", event)
        return len(rows)
    finally:
        await pool.release(conn)


async def not_counted(pool: Any, gauge: Any, event: int) -> int:
    async with pool.acquire(timeout=0.5) as conn:
        seats: int = await conn.fetchval(SEATS, event)
        return seats


def _of(time: str, where: str) -> Callable[[Any], Any]:
    async def oldest(conn: Any) -> float:
        seconds: float = await conn.fetchval(
            f"select coalesce(extract(epoch from max(clock_timestamp() - {time})), 0)::float "
            f"from pg_stat_activity where backend_type = 'client backend' and {where}"
        )
        return seconds

    return oldest


OTHERS = "pid <> pg_backend_pid()"
only_active = _of("xact_start", f"{OTHERS} and state = 'active'")
by_query = _of("query_start", f"{OTHERS} and xact_start is not null")
by_state_change = _of("state_change", f"{OTHERS} and state like 'idle in%'")
only_here = _of("xact_start", f"{OTHERS} and datname = current_database()")
with_itself = _of("xact_start", "true")


async def in_python(conn: Any) -> float:
    """Right."""
    rows = await conn.fetch(
        "select clock_timestamp() as now, xact_start, pid from pg_stat_activity "
        "where xact_start is not null and datname is not null"
    )
    own = await conn.fetchval("select pg_backend_pid()")
    ages = [(row["now"] - row["xact_start"]).total_seconds() for row in rows if row["pid"] != own]
    return max(ages, default=0)


async def of_waiting_sessions(conn: Any) -> float:
    return float(await conn.fetchval("select count(*) from pg_locks where not granted"))


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "symptom"): the_pool_first,
    (1, "oldest"): the_oldest_transaction_first,
    (1, "slow"): the_slowest_span,
    (2, "stays up"): only_when_it_came,
    (2, "holders"): while_it_holds,
    (2, "leak"): released_at_the_end,
    (2, "forever"): without_a_limit,
    (3, "active"): only_active,
    (3, "query"): by_query,
    (3, "here"): only_here,
    (3, "itself"): with_itself,
}
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, by_maxwait),
    (1, "", nothing_ever),
    (1, "", in_words),
    (2, "stays up", but_not_cancelled),
    (2, "", not_counted),
    (2, None, with_wait_for),
    (3, None, in_python),
    (3, "query", by_state_change),
    (3, "active", of_waiting_sessions),
)
