"""A client that PgBouncer gives another backend for each transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement


def _after_a_move(method: Callable[..., Any]) -> Callable[..., Any]:
    async def moved(self: Any, *arguments: Any, **options: Any) -> Any:
        await self.move()
        return await method(self, *arguments, **options)

    return moved


class Moved(asyncpg.Connection):
    """Before each of its transactions, another client takes the backend that was used last.

    So each is on another one.
    """

    others: list[Any]  # who can do so, and has not yet
    taken: list[Any]

    async def move(self) -> None:
        if self.others and not self.is_in_transaction():
            self.taken.append(self.others.pop())
            await self.taken[-1].execute("begin")

    async def prepare(self, *arguments: Any, **options: Any) -> Any:
        await self.move()
        statement = await super().prepare(*arguments, **options)
        return _MovedStatement(self, statement.get_query(), statement._state)

    execute = _after_a_move(asyncpg.Connection.execute)
    fetch = _after_a_move(asyncpg.Connection.fetch)
    fetchval = _after_a_move(asyncpg.Connection.fetchval)
    fetchrow = _after_a_move(asyncpg.Connection.fetchrow)


class _MovedStatement(PreparedStatement):
    """Its first execution finds the backend that preparing has held, whatever comes between."""

    async def move(self) -> None:
        await self._connection.move()

    fetch = _after_a_move(PreparedStatement.fetch)
    fetchval = _after_a_move(PreparedStatement.fetchval)
    fetchrow = _after_a_move(PreparedStatement.fetchrow)
