"""Settings of a session that last, and cost nothing: where they are set decides."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "settings that stay, at no query"

HINTS = (
    "Print `show timezone` in the first and in the second request on one connection. What does "
    "the pool send in between?",
    "The reset at each release takes settings back to what they were when the session began. A "
    "codec lives in the client, and no reset touches it.",
    "create_pool(server_settings={…}) gives the zone and the name to each session when it begins. "
    "The codec stays where it is.",
)

TRAPS = {
    "once": "The first request on a connection has the settings, and the second has not: they were "
    "set after the session had begun, and the reset at the release removed them.",
    "each time": "The settings are right, and each request pays an extra round trip for them.",
    "codec": "The settings are right, but asyncpg prepares every query again: it forgets prepared "
    "statements when a codec is registered, as at each request, or keeps none.",
    "left": "The settings stay, and so does what a request leaves behind: the next request found "
    "its time zone or its lock.",
}

OFFICE, ZONE = "Tokyo office", "Asia/Tokyo"
OTHER_OFFICE, OTHER_ZONE = "L'Olympia", "Europe/Paris"
STORE = "update orders set basket = $1 where id = 2 returning basket = $1 and basket ? 'seats'"
BASKET = "select basket from orders where id = $1"
SHOWN = "timezone", "application_name"
TIMES = 10
LEFT_BEHIND = """
    set timezone = 'UTC'; set application_name = 'left behind'; select pg_advisory_lock(2)"""
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
Seen = tuple[bool, bool, bool]  # the zone, the name and the basket are as they should be


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        outcome = await exam.run(tap.dsn(), OFFICE, ZONE)
        pool = outcome.value
        if not isinstance(pool, asyncpg.Pool):
            exam.criterion("a pool comes back", False, str(outcome))
            return
        sizes = pool.get_min_size(), pool.get_max_size()
        exam.criterion(
            "it is a pool of one to three connections",
            sizes == (1, 3),
            f"{sizes[0]} to {sizes[1]}",
        )
        try:
            outcome = await exam.call(_use, exam, pool, tap, look, limit=20)
            if not outcome.returned:
                exam.criterion("the pool can be used", False, str(outcome))
            elif not exam.fallen:
                await _another_office(exam, pool, tap)
        finally:
            pool.terminate()


async def _use(exam: Examination, pool: Any, tap: wire.Tap, look: Any) -> None:
    one_by_one = [await _request(pool) for _ in range(TIMES)]
    exam.criterion(
        f"{TIMES} requests, one after the other",
        all(map(all, one_by_one)),
        _counted(one_by_one),
    )

    conns = [await pool.acquire(timeout=3) for _ in range(3)]
    at_once = [await _seen(conn) for conn in conns]
    for conn in conns:
        await pool.release(conn)
    exam.criterion("three at the same time", all(map(all, at_once)), _counted(at_once))

    found = await look.fetchval(
        "select count(*) from pg_stat_activity where application_name = $1", OFFICE
    )
    exam.criterion("the administrator finds its idle sessions by name", found == 3, f"{found} of 3")

    await pool.execute(LEFT_BEHIND)
    async with pool.acquire() as conn:
        zone, name, _ = await _seen(conn)
        clean = zone and name and not await conn.fetchval(LOCKS)
    had_them = all(zone and name for zone, name, _ in one_by_one)
    exam.criterion(
        "a request leaves a setting and a lock: the next one has neither",
        clean,
        "neither" if clean else "the next one found them" if had_them else "zone or name is wrong",
    )

    stored = await exam.call(pool.fetchval, STORE, {"event": 5, "seats": ["A1"]})
    exam.criterion("a dict can be stored in it", stored.value is True, str(stored))

    await pool.fetchval(BASKET, 1)
    tap.clear()
    for _ in range(TIMES):
        await pool.fetchval(BASKET, 1)
    trips = tap.round_trips()
    exam.criterion(
        f"round trips of {TIMES} requests, the pool's reset included: {2 * TIMES} at most",
        trips <= 2 * TIMES,
        f"{trips}",
    )

    right = [zone and name for zone, name, _ in one_by_one]
    if right[0] and not any(right[1:]):
        exam.trap("once")
    elif all(right) and not clean:
        exam.trap("left")
    elif all(right) and trips > 2 * TIMES:
        exam.trap("codec" if any(event.message == "Parse" for event in tap.events) else "each time")


async def _another_office(exam: Examination, pool: Any, tap: wire.Tap) -> None:
    """A second pool, on the same role, and then new connections of the first one."""
    outcome = await exam.run(tap.dsn(), OTHER_OFFICE, OTHER_ZONE)
    if not isinstance(outcome.value, asyncpg.Pool):
        exam.criterion("a second office opens a pool", False, str(outcome))
        return
    try:
        seen = [await outcome.value.fetchval(f"show {what}") for what in SHOWN]
        await pool.expire_connections()
        mine = [await pool.fetchval(f"show {what}") for what in SHOWN]
    finally:
        outcome.value.terminate()
    exam.criterion(
        "a second office opens a pool: each has its own zone and name, on new connections too",
        seen == [OTHER_ZONE, OTHER_OFFICE] and mine == [ZONE, OFFICE],
        f"{', '.join(seen)}; {', '.join(mine)}",
    )


async def _request(pool: Any) -> Seen:
    async with pool.acquire(timeout=3) as conn:
        return await _seen(conn)


async def _seen(conn: Any) -> Seen:
    return (
        await conn.fetchval("show timezone") == ZONE,
        await conn.fetchval("show application_name") == OFFICE,
        isinstance(await conn.fetchval(BASKET, 1), dict),
    )


def _counted(seen: list[Seen]) -> str:
    counts = [sum(column) for column in zip(*seen, strict=True)]
    if all(count == len(seen) for count in counts):
        return "zone, name and basket right in each"
    return ", ".join(
        f"{what} right in {count} of {len(seen)}"
        for what, count in zip(("zone", "name", "basket"), counts, strict=True)
    )
