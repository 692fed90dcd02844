"""The other programs behind PgBouncer: does an import stop them, or leave something to them?"""

from __future__ import annotations

import asyncpg

from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.stack import Stack

SLOW = """
    create function slow_import() returns trigger language plpgsql as $$
    begin perform pg_sleep(1); return new; end $$;
    create trigger slow_import before update on seats
    for each row when (new.event_id = 5 and new.label = 'E5') execute function slow_import()"""
SLEEPING = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
SALE = """
    set lock_timeout = '400ms';
    update seats set status = 'sold' where event_id = 4 and label = 'A1'"""
# PgBouncer sets these itself, for each client: they belong to no import.
LEFT = """
    select string_agg(name, ', ') from (
        select name from pg_settings where source = 'session' and name not in (
            'application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone',
            'standard_conforming_strings', 'search_path', 'default_transaction_read_only',
            'in_hot_standby', 'scram_iterations')
        union all
        select relname from pg_class where relpersistence = 't' and relkind = 'r') left_behind"""


async def goes_on_meanwhile(
    exam: Examination, stack: Stack, dsn: str, prices: list[tuple[str, int]]
) -> None:
    """During an import that takes a second."""
    look, shop = await admin(stack), await admin(stack)
    await look.execute(SLOW)
    running = exam.start(dsn, 5, prices, limit=8)

    async def is_slow() -> bool:
        return running.done() or bool(await look.fetchval(SLEEPING))

    await until(is_slow, "the import is under way")
    others_ran = not running.done()
    stopped = ""
    try:
        await shop.execute(SALE)
    except asyncpg.LockNotAvailableError:
        stopped = "they wait for a lock"
    outcome = await running
    await look.execute("drop trigger slow_import on seats; drop function slow_import()")
    if not outcome.returned:
        exam.criterion("an import that takes a second", False, str(outcome))
        return
    exam.criterion(
        "meanwhile the rest of this program goes on",
        others_ran,
        "it goes on" if others_ran else "nothing else could run",
        timed=True,
    )
    if others_ran:
        exam.criterion(
            "meanwhile other programs sell the seats of another event",
            not stopped,
            stopped or "they do",
        )


async def leaves_nothing(exam: Examination, dsn: str, backends: int) -> None:
    """On PgBouncer's connections to PostgreSQL, which the next program is lent."""
    conns = [await asyncpg.connect(dsn, statement_cache_size=0) for _ in range(backends)]
    left = set()
    for conn in conns:  # in a transaction each, so that no two are on the same backend
        await conn.execute("begin")
        left.add(await conn.fetchval(LEFT))
    for conn in conns:
        await conn.execute("rollback")
        await conn.close()
    seen = ", ".join(name for name in left if name)
    exam.criterion(
        "the next program finds PostgreSQL's settings as they were, and no table of the import's",
        not seen,
        f"{seen}: left" if seen else "it does",
    )
