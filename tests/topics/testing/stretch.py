"""Wrong and right answers to the stretch of exercise 16."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

COUNT = "select count(*) from pg_stat_activity"


async def difference(admin: Any, dsn: str, test: Any) -> Any:
    before = await admin.fetchval(COUNT)
    await test(dsn)
    return await admin.fetchval(COUNT) - before


async def always_the_same_name(admin: Any, dsn: str, test: Any) -> Any:
    await test(f"{dsn}?application_name=test")
    return await admin.fetchval(f"{COUNT} where application_name = 'test'")


async def new_ones(admin: Any, dsn: str, test: Any) -> Any:
    pids = {row[0] for row in await admin.fetch("select pid from pg_stat_activity")}
    await test(dsn)
    rows = await admin.fetch("select pid from pg_stat_activity")
    return len({row[0] for row in rows} - pids)


async def hides_the_error(admin: Any, dsn: str, test: Any) -> Any:
    name = uuid.uuid4().hex
    try:
        await test(f"{dsn}?application_name={name}")
    except Exception as error:
        print(error)
    return await admin.fetchval(f"{COUNT} where application_name = $1", name)


async def ends_them(admin: Any, dsn: str, test: Any) -> Any:
    """Looks, and tidies up."""
    name = uuid.uuid4().hex
    await test(f"{dsn}?application_name={name}")
    return len(
        await admin.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
            name,
        )
    )


async def by_the_function_that_tests(admin: Any, dsn: str, test: Any) -> Any:
    name = f"{id(test)}-{uuid.uuid4().hex[:8]}"
    await test(f"{dsn}?application_name={name}")
    rows = await admin.fetch("select application_name from pg_stat_activity")
    return sum(row[0] == name for row in rows)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "others"): difference,
    (4, "earlier"): always_the_same_name,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "others", new_ones),
    (4, "", hides_the_error),
    (4, None, ends_them),
    (4, None, by_the_function_that_tests),
)
