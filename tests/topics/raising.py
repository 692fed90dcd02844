"""What the functions in live_errors.py need to raise an error and catch it."""

from __future__ import annotations

from collections.abc import Awaitable

import asyncpg


async def raised_by(action: Awaitable[object]) -> BaseException:
    try:
        await action
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def connect(dsn: str | None = None, **options: object) -> Awaitable[object]:
    return asyncpg.connect(dsn, **options)  # type: ignore[no-any-return]
