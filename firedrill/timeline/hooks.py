"""Listens at the few places of asyncpg's pool through which every borrow goes, while at least
one pool is recorded.

asyncpg has no hook for it (`setup` and `reset` do not see who waits), so four methods of its
classes are replaced and put back. They are private: tests/timeline/ fails where a release
of asyncpg changes them.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from asyncpg import Pool
from asyncpg.pool import PoolConnectionHolder

from .recording import Borrow, Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Watch:
    """A recording, and which connection and which borrow belong to the pool's holders now.

    Without a pool it is of all pools, and of the borrows for which `is_meant` is true.
    """

    def __init__(
        self,
        pool: Pool | None,
        picture: Callable[[Recording], Figure],
        is_meant: Callable[[], bool] = lambda: True,
    ) -> None:
        self.recording, self.is_meant = Recording(picture), is_meant
        self.pools: set[Any] = set()  # that have opened a connection meanwhile
        self.numbers: dict[Any, int] = {}  # by connection, once it was borrowed
        holders = pool._holders if pool else []
        self.seen: dict[Any, float] = {
            one._con: 0.0 for one in holders if one.is_connected()
        }  # since when open
        self.held: dict[Any, Borrow] = {}  # by holder

    def opened(self, holder: Any) -> None:
        self.pools.add(holder._pool)
        self.seen[holder._con] = self.recording.now()

    def borrowed(self, borrow: Borrow, proxy: Any) -> None:
        borrow.got = self.recording.now()
        number = self.numbers.setdefault(proxy._con, len(self.numbers) + 1)
        borrow.connection = number
        self.recording.opened.setdefault(number, self.seen.get(proxy._con, 0.0))
        self.held[proxy._holder] = borrow

    def given_back(self, holder: Any) -> None:
        if borrow := self.held.pop(holder, None):
            borrow.returned = self.recording.now()

    def closed(self, connection: Any) -> None:
        if number := self.numbers.get(connection):
            self.recording.closed[number] = self.recording.now()


_watches: dict[Pool, _Watch] = {}
_of_all_pools: list[_Watch] = []
_originals: dict[tuple[type, str], Callable[..., Any]] = {}


@contextlib.contextmanager
def recorded(pool: Pool, picture: Callable[[Recording], Figure]) -> Iterator[Recording]:
    """See `timeline.record`."""
    if pool in _watches:
        raise ValueError("This pool is being recorded already: end that recording first.")
    watch = _watches[pool] = _Watch(pool, picture)
    _listen()
    try:
        yield watch.recording
    finally:
        watch.recording.ended = watch.recording.now()
        del _watches[pool]
        _stop_listening()


@contextlib.contextmanager
def recorded_wherever(
    is_meant: Callable[[], bool], picture: Callable[[Recording], Figure]
) -> Iterator[tuple[Recording, set[Any]]]:
    """Record the borrows from any pool, also from one that is opened meanwhile or is recorded
    already, for which `is_meant` is true when they are asked for.

    Gives the pools that have opened a connection, too.
    """
    watch = _Watch(None, picture, is_meant)
    _of_all_pools.append(watch)
    _listen()
    try:
        yield watch.recording, watch.pools
    finally:
        watch.recording.ended = watch.recording.now()
        _of_all_pools.remove(watch)
        _stop_listening()


def _watching(pool: Any) -> list[_Watch]:
    return [*([_watches[pool]] if pool in _watches else []), *_of_all_pools]


def _listen() -> None:
    for owner, replacement in (
        (Pool, _acquire),
        (PoolConnectionHolder, connect),
        (PoolConnectionHolder, _release),
        (PoolConnectionHolder, _release_on_close),
    ):
        name = replacement.__name__
        if (owner, name) not in _originals:
            _originals[owner, name] = original = getattr(owner, name)
            setattr(owner, name, functools.wraps(original)(replacement))


def _stop_listening() -> None:
    while _originals and not _watches and not _of_all_pools:
        (owner, name), original = _originals.popitem()
        setattr(owner, name, original)


async def _acquire(pool: Any, timeout: float | None) -> Any:
    original = _original(Pool, "_acquire")
    waits = pool._queue is not None and pool._queue.empty()
    borrows = [
        (watch, watch.recording.ask(waits=waits)) for watch in _watching(pool) if watch.is_meant()
    ]
    try:
        proxy = await original(pool, timeout)
    except BaseException:
        for watch, borrow in borrows:
            borrow.gave_up = watch.recording.now()
        raise
    for watch, borrow in borrows:
        watch.borrowed(borrow, proxy)
    return proxy


async def connect(holder: Any) -> None:
    await _original(PoolConnectionHolder, "connect")(holder)
    for watch in _watching(holder._pool):
        watch.opened(holder)


def _release(holder: Any) -> None:
    for watch in _watching(holder._pool):
        watch.given_back(holder)
    _original(PoolConnectionHolder, "_release")(holder)


def _release_on_close(holder: Any) -> None:
    for watch in _watching(holder._pool):
        watch.closed(holder._con)
    _original(PoolConnectionHolder, "_release_on_close")(holder)


def _original(owner: type, name: str) -> Callable[..., Any]:
    """What stood there. A call that began before the recording's end may finish after it."""
    return _originals.get((owner, name)) or getattr(owner, name)
