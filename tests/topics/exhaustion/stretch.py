"""Wrong and right answers to the stretch of exercise 03."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any


async def named_before_it_waits(pool: Any) -> Any:
    held: list[str] = []

    @contextlib.asynccontextmanager
    async def borrow(name: str) -> AsyncIterator[Any]:
        held.append(name)
        try:
            async with pool.acquire() as conn:
                yield conn
        finally:
            held.remove(name)

    return borrow, lambda: list(held)


async def forgotten_at_good_ends(pool: Any) -> Any:
    held: list[str] = []

    @contextlib.asynccontextmanager
    async def borrow(name: str) -> AsyncIterator[Any]:
        async with pool.acquire() as conn:
            held.append(name)
            yield conn
            held.remove(name)

    return borrow, lambda: list(held)


async def forgotten_at_errors_only(pool: Any) -> Any:
    held: list[str] = []

    @contextlib.asynccontextmanager
    async def borrow(name: str) -> AsyncIterator[Any]:
        async with pool.acquire() as conn:
            held.append(name)
            try:
                yield conn
            except Exception:
                held.remove(name)
                raise
            held.remove(name)

    return borrow, lambda: list(held)


async def by_name_of_the_alphabet(pool: Any) -> Any:
    held: set[str] = set()

    @contextlib.asynccontextmanager
    async def borrow(name: str) -> AsyncIterator[Any]:
        async with pool.acquire() as conn:
            held.add(name)
            try:
                yield conn
            finally:
                held.discard(name)

    return borrow, lambda: sorted(held)


async def swallows(pool: Any) -> Any:
    held: list[str] = []

    @contextlib.asynccontextmanager
    async def borrow(name: str) -> AsyncIterator[Any]:
        async with pool.acquire() as conn:
            held.append(name)
            with contextlib.suppress(Exception):
                yield conn
            held.remove(name)

    return borrow, lambda: list(held)


class Borrowed:
    def __init__(self, pool: Any, held: list[str], name: str) -> None:
        self.pool, self.held, self.name = pool, held, name

    async def __aenter__(self) -> Any:
        self.conn = await self.pool.acquire()
        self.held.append(self.name)
        return self.conn

    async def __aexit__(self, *_: object) -> None:
        self.held.remove(self.name)
        await self.pool.release(self.conn)


async def as_a_class(pool: Any) -> Any:
    held: list[str] = []
    return lambda name: Borrowed(pool, held, name), lambda: list(held)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "waiting"): named_before_it_waits,
    (4, "stays"): forgotten_at_good_ends,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "stays", forgotten_at_errors_only),
    (4, "", by_name_of_the_alphabet),
    (4, "stays", swallows),
    (4, None, as_a_class),
)
