"""Wrong and right answers to the stretch of exercise 01."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg


async def the_first_that_answers(hosts: Any, options: Any) -> Any:
    for host, port in hosts:
        try:
            return await asyncpg.connect(host=host, port=port, timeout=5, **options)
        except OSError:
            pass
    raise OSError("no server answers")


async def better_than_none(hosts: Any, options: Any) -> Any:
    standby = None
    for host, port in hosts:
        try:
            conn = await asyncpg.connect(host=host, port=port, timeout=5, **options)
        except OSError:
            continue
        if not await conn.fetchval("select pg_is_in_recovery()"):
            return conn
        standby = conn
    return standby


async def the_last_one(hosts: Any, options: Any) -> Any:
    host, port = hosts[-1]
    return await asyncpg.connect(
        host=host, port=port, target_session_attrs="read-write", timeout=5, **options
    )


async def prefers_a_standby(hosts: Any, options: Any) -> Any:
    return await asyncpg.connect(
        host=[host for host, _ in hosts],
        port=[port for _, port in hosts],
        target_session_attrs="prefer-standby",
        **options,
    )


async def errors_hidden(hosts: Any, options: Any) -> Any:
    try:
        return await asyncpg.connect(
            host=[host for host, _ in hosts],
            port=[port for _, port in hosts],
            target_session_attrs="primary",
            timeout=5,
            **options,
        )
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None


async def says_primary(hosts: Any, options: Any) -> Any:
    return await asyncpg.connect(
        host=[host for host, _ in hosts],
        port=[port for _, port in hosts],
        target_session_attrs="primary",
        timeout=5,
        **options,
    )


async def one_after_the_other(hosts: Any, options: Any) -> Any:
    for host, port in hosts:
        try:
            conn = await asyncpg.connect(host=host, port=port, timeout=5, **options)
        except (OSError, asyncpg.PostgresError):
            continue
        if await conn.fetchval("show transaction_read_only") == "off":
            return conn
        await conn.close()
    raise asyncpg.exceptions.TargetServerAttributeNotMatched("no server takes writes")


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "first"): the_first_that_answers,
    (4, "for lack of"): better_than_none,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "", the_last_one),
    (4, "first", prefers_a_standby),
    (4, "", errors_hidden),
    (4, None, says_primary),
    (4, None, one_after_the_other),
)
