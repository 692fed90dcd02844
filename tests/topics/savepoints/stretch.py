"""Wrong and right answers to the stretch of exercise 09."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

Callback = Callable[[], None]


class AtTheEndOfEachBlock:
    def __init__(self, conn: Any) -> None:
        self.conn, self.open = conn, list[list[Callback]]()

    def after_commit(self, callback: Callback) -> None:
        self.open[-1].append(callback)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.open.append([])
        try:
            async with self.conn.transaction():
                yield
            for callback in self.open[-1]:
                callback()
        finally:
            self.open.pop()


class OneListForAll:
    def __init__(self, conn: Any) -> None:
        self.conn, self.depth, self.callbacks = conn, 0, list[Callback]()

    def after_commit(self, callback: Callback) -> None:
        self.callbacks.append(callback)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.depth += 1
        try:
            async with self.conn.transaction():
                yield
        except BaseException:
            if self.depth == 1:
                self.callbacks.clear()
            raise
        finally:
            self.depth -= 1
        if not self.depth:
            callbacks, self.callbacks = self.callbacks, []
            for callback in callbacks:
                callback()


class NeverForgets(OneListForAll):
    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.depth += 1
        try:
            async with self.conn.transaction():
                yield
        finally:
            self.depth -= 1
        if not self.depth:
            for callback in self.callbacks:
                callback()


class Marks(OneListForAll):
    """One list, cut back to where a block began."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self.depth += 1
        mark = len(self.callbacks)
        try:
            async with self.conn.transaction():
                yield
        except BaseException:
            del self.callbacks[mark:]
            raise
        finally:
            self.depth -= 1
        if not self.depth:
            callbacks, self.callbacks = self.callbacks, []
            for callback in callbacks:
                callback()


async def at_the_end_of_each_block(conn: Any) -> Any:
    return AtTheEndOfEachBlock(conn)


async def one_list_for_all(conn: Any) -> Any:
    return OneListForAll(conn)


async def never_forgets(conn: Any) -> Any:
    return NeverForgets(conn)


def marks(conn: Any) -> Any:
    return Marks(conn)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "early"): at_the_end_of_each_block,
    (4, "undone"): one_list_for_all,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "undone", never_forgets),
    (4, None, marks),
)
