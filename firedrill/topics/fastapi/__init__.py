"""Exercise 15: an order service: what its 200 means, whom it charges, for whom it works."""

from ...checking.drill import Drill
from . import closed_browsers, missing_row, one_charge, paid_again, stored_orders

DRILL = Drill(
    "200 means stored, one seat one charge, closed browsers and a full pool",
    (stored_orders, one_charge, closed_browsers),
    warm_up=missing_row,
    stretch=paid_again,
)
