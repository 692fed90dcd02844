"""Exercise 16: a fixture, a suite, and a database for each test."""

from ...checking.drill import Drill
from . import at_commit, finding_bugs, nothing_stays, own_database, own_loop

DRILL = Drill(
    "a fixture, a suite, and a database for each test",
    (nothing_stays, finding_bugs, own_database),
    warm_up=own_loop,
    stretch=at_commit,
)
