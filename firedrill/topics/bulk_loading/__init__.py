"""Exercise 07: many rows at once."""

from ...checking.drill import Drill
from . import few_waits, messy_file, price_list, seats_by_copy, stream

DRILL = Drill(
    "a file, seats with options, and a price list",
    (messy_file, seats_by_copy, price_list),
    warm_up=few_waits,
    stretch=stream,
)
