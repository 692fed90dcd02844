"""Exercise 16: a fixture, a suite, and a database for each test."""

from ...checking.drill import Drill
from . import finding_bugs, left_behind, nothing_stays, own_database, undone

DRILL = Drill(
    "a fixture, a suite, and a database for each test",
    (nothing_stays, finding_bugs, own_database),
    warm_up=undone,
    stretch=left_behind,
)
