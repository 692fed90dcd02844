"""Exercise 07: many rows at once."""

from ...checking.drill import Drill
from . import messy_file, one_message, price_list, seats_by_copy

DRILL = Drill(
    "a file, seats with options, and a price list",
    (messy_file, seats_by_copy, price_list),
    warm_up=one_message,
)
