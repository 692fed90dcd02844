"""Exercise 12: migrations while the shop sells."""

from ...checking.drill import Drill
from . import lock_retry, new_column, new_index, renamed_column, short_wait

DRILL = Drill(
    "migrations while the shop sells",
    (new_column, new_index, renamed_column),
    warm_up=short_wait,
    stretch=lock_retry,
)
