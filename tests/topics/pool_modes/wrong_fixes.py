"""Wrong fixes for exercise 11."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncpg


async def wait_for_the_session_lock(conn: Any, pay: Callable[..., Any]) -> bool:
    await conn.fetchval("select pg_advisory_lock(11)")
    try:
        await pay(conn)
    finally:
        await conn.fetchval("select pg_advisory_unlock(11)")
    return True


async def ask_again_and_again(conn: Any, pay: Callable[..., Any]) -> bool:
    for _ in range(3):
        if await conn.fetchval("select pg_try_advisory_lock(11)"):
            break
        await asyncio.sleep(0.01)
    else:
        return False
    try:
        await pay(conn)
    finally:
        await conn.execute("select pg_advisory_unlock_all()")
    return True


async def lock_of_one_statement(conn: Any, pay: Callable[..., Any]) -> bool:
    if not await conn.fetchval("select pg_try_advisory_xact_lock(11)"):
        return False
    await pay(conn)
    return True


async def wait_in_a_transaction(conn: Any, pay: Callable[..., Any]) -> bool:
    async with conn.transaction():
        await conn.execute("select pg_advisory_xact_lock(11)")
        await pay(conn)
    return True


settling = asyncio.Lock()


async def lock_of_this_process(conn: Any, pay: Callable[..., Any]) -> bool:
    if settling.locked():
        return False
    async with settling:
        await pay(conn)
    return True


settles = False


async def flag_in_a_transaction(conn: Any, pay: Callable[..., Any]) -> bool:
    global settles
    if settles:
        return False
    settles = True
    try:
        async with conn.transaction():
            await pay(conn)
    finally:
        settles = False
    return True


async def session_lock_in_a_transaction(conn: Any, pay: Callable[..., Any]) -> bool:
    async with conn.transaction():
        if not await conn.fetchval("select pg_try_advisory_lock(11)"):
            return False
        try:
            await pay(conn)
        finally:
            await conn.execute("select pg_advisory_unlock(11)")
        return True


LEASE = """
    insert into leases values ('settlement', now() + interval '4 hours')
    on conflict (name) do update set until = excluded.until where leases.until < now()
    returning true"""


async def lease(conn: Any, pay: Callable[..., Any]) -> bool:
    """Right: a row that says until when somebody works."""
    await conn.execute(
        "create table if not exists leases (name text primary key, until timestamptz not null)"
    )
    if not await conn.fetchval(LEASE):
        return False
    try:
        await pay(conn)
    finally:
        await conn.execute("delete from leases where name = 'settlement'")
    return True


async def xact_lock_of_its_own(conn: Any, pay: Callable[..., Any]) -> bool:
    """Right: your own exception ends the transaction, and with it the lock."""
    transaction = conn.transaction()
    await transaction.start()
    try:
        locked: bool = await conn.fetchval(
            "select pg_try_advisory_xact_lock(hashtext($1))", "settlement"
        )
        if locked:
            await pay(conn)
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()
    return locked


async def lock_the_table(conn: Any, pay: Callable[..., Any]) -> bool:
    try:
        async with conn.transaction():
            await conn.execute("lock table payments in exclusive mode nowait")
            await pay(conn)
    except asyncpg.LockNotAvailableError:
        return False
    return True


async def undo_it_all(conn: Any, pay: Callable[..., Any]) -> bool:
    transaction = conn.transaction()
    await transaction.start()
    try:
        if not await conn.fetchval("select pg_try_advisory_xact_lock(11)"):
            return False
        await pay(conn)
        return True
    finally:
        await transaction.rollback()


async def every_error_is_another_worker(conn: Any, pay: Callable[..., Any]) -> bool:
    try:
        async with conn.transaction():
            if not await conn.fetchval("select pg_try_advisory_xact_lock(11)"):
                return False
            await pay(conn)
            return True
    except Exception:
        return False


async def errors_of_postgres_are_swallowed(conn: Any, pay: Callable[..., Any]) -> bool:
    locked = False
    with contextlib.suppress(asyncpg.PostgresError):
        async with conn.transaction():
            locked = await conn.fetchval("select pg_try_advisory_xact_lock(11)")
            if locked:
                await pay(conn)
    return locked


async def a_name_of_the_worker(conn: Any, pay: Callable[..., Any]) -> bool:
    await conn.execute("set application_name = 'settlement'")
    others = await conn.fetchval(
        "select count(*) from pg_stat_activity "
        "where application_name = 'settlement' and pid <> pg_backend_pid()"
    )
    if others:
        return False
    await pay(conn)
    return True


async def a_row_that_is_locked(conn: Any, pay: Callable[..., Any]) -> bool:
    """Right: the row is there for this, and nobody else writes it."""
    await conn.execute("create table if not exists jobs (name text primary key)")
    await conn.execute("insert into jobs values ('settlement') on conflict do nothing")
    query = "select true from jobs where name = 'settlement' for update skip locked"
    async with conn.transaction():
        if not await conn.fetchval(query):
            return False
        await pay(conn)
    return True


async def nothing_is_zero(conn: Any, promoter: str) -> int | None:
    async with conn.transaction():
        await conn.execute("select set_config('search_path', $1, true)", promoter)
        return await conn.fetchval("select count(*) from orders") or None


async def set_and_set_back(conn: Any, promoter: str) -> int:
    """Right: in one transaction, and nothing is left after it."""
    async with conn.transaction():
        before = await conn.fetchval("select current_setting('search_path')")
        await conn.execute("select set_config('search_path', $1, false)", promoter)
        count: int = await conn.fetchval("select count(*) from orders")
        await conn.execute("select set_config('search_path', $1, false)", before)
        return count


class Of:
    def __init__(self, promoter: str) -> None:
        self.query = f'select count(*) from "{promoter}".orders'

    async def count(self, conn: Any) -> int:
        found: list[int] = [row[0] for row in await conn.fetch(self.query)]
        return found[0]


async def with_a_class(conn: Any, promoter: str) -> int:
    """Right."""
    return await Of(promoter).count(conn)


async def all_promoters_together(conn: Any, promoter: str) -> int:
    async with conn.transaction():
        await conn.execute("set local search_path = arena, cellar, loft")
        count: int = await conn.fetchval("select count(*) from orders")
        return count


async def reset_afterwards(conn: Any, promoter: str) -> int:
    await conn.execute(f"set search_path = {promoter}")
    try:
        count: int = await conn.fetchval("select count(*) from orders")
        return count
    finally:
        await conn.execute("reset search_path")


async def discard_all_before(conn: Any, promoter: str) -> int:
    await conn.execute("discard all")
    await conn.execute(f"set search_path = {promoter}")
    count: int = await conn.fetchval("select count(*) from orders")
    return count


async def set_in_a_transaction(conn: Any, promoter: str) -> int:
    async with conn.transaction():
        await conn.execute(f"set search_path = {promoter}")
        count: int = await conn.fetchval("select count(*) from orders")
        return count


async def local_without_a_transaction(conn: Any, promoter: str) -> int:
    await conn.execute("select set_config('search_path', $1, true)", promoter)
    count: int = await conn.fetchval("select count(*) from orders")
    return count


async def prepared_one_by_one(conn: Any, promoter: str) -> int:
    setting = await conn.prepare("select set_config('search_path', $1, false)")
    await setting.fetchval(promoter)
    count: int = await (await conn.prepare("select count(*) from orders")).fetchval()
    await (await conn.prepare("select set_config('search_path', 'public', false)")).fetchval()
    return count


async def prepared_first(conn: Any, promoter: str) -> int:
    setting = await conn.prepare("select set_config('search_path', $1, false)")
    counting = await conn.prepare(f"select count(*) from {promoter}.orders")
    await setting.fetchval(promoter)
    await setting.fetchval('"$user", public')
    count: int = await counting.fetchval()
    return count


async def schema_in_the_query(conn: Any, promoter: str) -> int:
    """Right: no setting at all."""
    count: int = await conn.fetchval(f"select count(*) from {promoter}.orders")
    return count


SETTINGS = "select array(select name || '=' || setting from pg_settings order by name)::text"


async def settings_alone(services: dict[str, Any], dsn: str) -> str | None:
    conn, look = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    for name, service in services.items():
        before = await look.fetchval(SETTINGS)
        await service(conn)
        if await look.fetchval(SETTINGS) != before:
            return name
    return None


async def the_last_one_with_a_difference(services: dict[str, Any], dsn: str) -> str | None:
    conn, look = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    clean = await look.fetchval(SETTINGS)
    found = None
    for name, service in services.items():
        await service(conn)
        if await look.fetchval(SETTINGS) != clean:
            found = name
    return found


async def while_another_has_the_backend(services: dict[str, Any], dsn: str) -> str | None:
    conn, look = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    async with look.transaction():
        before = await look.fetchval(SETTINGS)
        for name, service in services.items():
            await service(conn)
            if await look.fetchval(SETTINGS) != before:
                return name
    return None


LEFT_BEHIND = """
    select array[
        (select array_agg(name || '=' || setting order by name) from pg_settings)::text,
        (select array_agg(objid) from pg_locks
         where locktype = 'advisory' and pid = pg_backend_pid())::text,
        (select array_agg(relname order by relname) from pg_class
         where relpersistence = 't' and relnamespace = pg_my_temp_schema())::text,
        (select array_agg(name order by name) from pg_cursors where is_holdable)::text,
        (select array_agg(name order by name) from pg_prepared_statements {})::text,
        (select array_agg(channel) from pg_listening_channels() channel)::text
    ]::text"""


async def with_what_asyncpg_prepares(services: dict[str, Any], dsn: str) -> str | None:
    conn, look = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    for name, service in services.items():
        before = await look.fetchval(LEFT_BEHIND.format(""))
        await service(conn)
        if await look.fetchval(LEFT_BEHIND.format("")) != before:
            return name
    return None


async def in_the_services_own_client(services: dict[str, Any], dsn: str) -> str | None:
    conn = await asyncpg.connect(dsn)
    for name, service in services.items():
        before = await conn.fetchval(LEFT_BEHIND.format("where from_sql"))
        await service(conn)
        if await conn.fetchval(LEFT_BEHIND.format("where from_sql")) != before:
            return name
    return None


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "session"): wait_for_the_session_lock,
    (1, "gone"): lock_of_one_statement,
    (1, "waits"): wait_in_a_transaction,
    (1, "process"): lock_of_this_process,
    (1, "stops the shop"): lock_the_table,
    (1, "aborted"): session_lock_in_a_transaction,
    (2, "afterwards"): reset_afterwards,
    (2, "kept"): set_in_a_transaction,
    (2, "nowhere"): local_without_a_transaction,
    (3, "one kind"): settings_alone,
    (3, "stays"): the_last_one_with_a_difference,
    (3, "elsewhere"): while_another_has_the_backend,
    (3, "own client"): in_the_services_own_client,
    (3, "prepared by asyncpg"): with_what_asyncpg_prepares,
}

# A trap, "" for a failure without one, None for a right answer.
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "session", ask_again_and_again),
    (1, "process", flag_in_a_transaction),
    (1, None, lease),
    (1, None, xact_lock_of_its_own),
    (2, "afterwards", discard_all_before),
    (2, "afterwards", prepared_one_by_one),
    (2, "kept", prepared_first),
    (2, None, schema_in_the_query),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "", undo_it_all),
    (1, "", every_error_is_another_worker),
    (1, "", errors_of_postgres_are_swallowed),
    (1, "gone", a_name_of_the_worker),
    (1, None, a_row_that_is_locked),
    (2, "", nothing_is_zero),
    (2, "", all_promoters_together),
    (2, None, set_and_set_back),
    (2, None, with_a_class),
)
