"""Who waited for a connection of a pool, who held which one, and who never gave it back.

    with timeline.record(pool) as line:
        ...                     # ordinary asyncpg code; nothing of it changes
    line                        # a table: who asked, who had to wait, which connection they got
    line.draw()                 # the same as a picture

Who: the name of the asyncio task; "task 1", "task 2" by first appearance if it was given no name.
Where: the function that asked. Connections are numbered in the order in which they are first
borrowed; a connection that replaces another one has a new number.

And what two connections did to each other, statement by statement:

    with timeline.race(alice=alice, bob=bob) as race:
        ...
    race.draw()
"""

from contextlib import AbstractContextManager

from asyncpg import Connection, Pool

from . import hooks, picture, race_picture
from . import race as races
from .race import Race, Step
from .recording import Borrow, Recording

__all__ = ["Borrow", "Race", "Recording", "Step", "race", "record"]


def record(pool: Pool) -> AbstractContextManager[Recording]:
    """Record who borrows connections of `pool`, from here to the end of the block."""
    return hooks.recorded(pool, picture.draw)


def race(**connections: Connection) -> AbstractContextManager[Race]:
    """Record what these connections, each under its name, send and are answered, from here to the
    end of the block.

    `execute`, `fetch`, `fetchrow` and `fetchval` are recorded, and what `transaction()` sends.
    Raises `TypeError` for a connection of a pool, which has other methods, and `ValueError` for one
    that is being recorded already.
    """
    return races.recorded(connections, race_picture.draw)
