"""Who waited for a connection of a pool, who held which one, and who never gave it back.

    with timeline.record(pool) as line:
        ...                     # ordinary asyncpg code; nothing of it changes
    line                        # a table: who asked, whether they had to wait, which connection they got, whether it came back
    line.draw()                 # the same as a picture

Who: the name of the asyncio task, "task 1", "task 2" by first appearance where it has none of its own. Where: the function
that asked. Connections are numbered in the order in which they are first borrowed; a connection that replaces another has a
number of its own.

And what two connections did to each other, statement by statement:

    with timeline.race(alice=alice, bob=bob) as race:
        ...
    race.draw()
"""

from .hooks import record
from .race import Race, Step, race
from .recording import Borrow, Recording

__all__ = ["Borrow", "Race", "Recording", "Step", "race", "record"]
