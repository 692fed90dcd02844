"""What was recorded: borrows, the life of connections, the table made from them."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from ..pictures import show
from ..tables import Table

if TYPE_CHECKING:  # matplotlib takes half a second to import, and most kernels draw nothing
    from matplotlib.figure import Figure

ROWS = 16  # that a table has at most; of more borrows it gives the counts
HIDDEN = (
    str(Path(asyncpg.__file__).parent),
    str(Path(__file__).parent),
    str(Path(asyncio.__file__).parent),
)


@dataclass
class Borrow:
    """One `acquire()`, also the hidden one of `pool.fetch()`.

    Times in seconds since the recording began.
    """

    who: str
    where: str  # the function that asked
    asked: float
    waited: bool  # no connection was free, and none could be opened
    got: float | None = None
    connection: int | None = None
    returned: float | None = None
    gave_up: float | None = None  # a timeout, a cancellation, or an error at connecting


@dataclass(eq=False)
class Recording:
    """`borrows` in the order in which they asked; `opened` and `closed` by number of connection, in
    seconds. `picture` draws it."""

    picture: Callable[[Recording], Figure] = field(repr=False)
    borrows: list[Borrow] = field(default_factory=list)
    opened: dict[int, float] = field(default_factory=dict)
    closed: dict[int, float] = field(default_factory=dict)
    ended: float | None = None
    _begun: float = field(default_factory=time.perf_counter)
    _names: dict[str, str] = field(default_factory=dict)

    def now(self) -> float:
        return time.perf_counter() - self._begun if self.ended is None else self.ended

    @property
    def never_returned(self) -> list[Borrow]:
        """Those who still hold a connection at the end of the recording."""
        return [one for one in self.borrows if one.got is not None and one.returned is None]

    @property
    def longest_wait(self) -> float:
        """Seconds from asking until a connection came, the asker gave up, or the recording
        ended."""
        return max(
            ((one.got or one.gave_up or self.now()) - one.asked for one in self.borrows),
            default=0.0,
        )

    def ask(self, waits: bool) -> Borrow:
        task = asyncio.current_task()
        given = task.get_name() if task else "no task"
        if re.fullmatch(r"Task-\d+", given):  # counted by asyncio, differently in each run
            given = self._names.setdefault(given, f"task {len(self._names) + 1}")
        self.borrows.append(Borrow(given, _asking_function(), self.now(), waits))
        return self.borrows[-1]

    def draw(self) -> None:
        """Display the picture; its words are the table."""
        show(self.picture(self), repr(self))

    def __repr__(self) -> str:
        if len(self.borrows) > ROWS:
            connections = len({one.connection for one in self.borrows} - {None})
            given_up = sum(one.gave_up is not None for one in self.borrows)
            return (
                f"{len(self.borrows)} borrows of {connections} connections: "
                f"{sum(one.waited for one in self.borrows)} had to wait, {given_up} got none, "
                f"{len(self.never_returned)} never came back"
            )
        return repr(
            Table(
                ["who", "asks in", "has to wait", "connection", "gives it back"],
                [
                    (
                        one.who,
                        one.where,
                        "yes" if one.waited else "no",
                        f"{one.connection}"
                        if one.connection
                        else "gives up"
                        if one.gave_up
                        else "waits still",
                        "" if one.got is None else "yes" if one.returned else "no",
                    )
                    for one in self.borrows
                ],
                empty="nobody asked for a connection",
            )
        )


def _asking_function() -> str:
    """The innermost function of this task that is neither asyncpg's nor ours; else the method of
    asyncpg that it runs."""
    frame, name = sys._getframe(1), ""
    while frame.f_back and frame.f_code.co_filename != asyncio.events.__file__:
        if not frame.f_code.co_filename.startswith(HIDDEN):
            name = frame.f_code.co_name
            return "the cell" if name.startswith("<") else name
        if frame.f_code.co_filename.startswith(HIDDEN[0]):
            name = f"pool.{frame.f_code.co_name}"
        frame = frame.f_back
    return name
