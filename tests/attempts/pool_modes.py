"""Wrong fixes for exercise 11."""

from __future__ import annotations

import asyncio
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


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "session"): wait_for_the_session_lock,
    (1, "gone"): lock_of_one_statement,
    (1, "waits"): wait_in_a_transaction,
    (1, "process"): lock_of_this_process,
    (2, "afterwards"): reset_afterwards,
    (2, "kept"): set_in_a_transaction,
    (2, "nowhere"): local_without_a_transaction,
    (3, "one kind"): settings_alone,
    (3, "stays"): the_last_one_with_a_difference,
    (3, "elsewhere"): while_another_has_the_backend,
}
