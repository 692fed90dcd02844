"""Exercise 08: orders, seats and payments."""

from ...checking.drill import Drill
from . import both_or_neither, confirmed_orders, last_seat, one_top_up, retry

DRILL = Drill(
    "orders, seats and payments that belong together",
    (confirmed_orders, last_seat, retry),
    warm_up=both_or_neither,
    stretch=one_top_up,
)
