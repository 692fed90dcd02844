"""Errors raised live for newer entries: a module for each topic, a name for each entry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg

from firedrill import servers

Raise = Callable[[servers.Stack], Awaitable[BaseException]]


async def raised_by(action: Awaitable[object]) -> BaseException:
    try:
        await action
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def of_sql(*statements: str, superuser: bool = False) -> Raise:
    """What the last statement raises, after the others, in a transaction that is rolled back."""

    async def raises(stack: servers.Stack) -> BaseException:
        user = servers.server.SUPERUSER if superuser else None
        dsn = stack.postgres.dsn(user=user) if user else stack.postgres.dsn()
        conn = await asyncpg.connect(dsn)
        try:
            async with conn.transaction():
                for statement in statements[:-1]:
                    await conn.execute(statement)
                return await raised_by(conn.fetch(statements[-1]))
        except asyncpg.InFailedSQLTransactionError:
            raise AssertionError(f"an earlier one of {statements} failed") from None
        finally:
            await conn.close()

    return raises
