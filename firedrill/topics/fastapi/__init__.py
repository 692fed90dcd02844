"""Exercise 15: an order service: what its 200 means, whom it charges, for whom it works."""

from ...checking.drill import Drill
from . import closed_browsers, one_charge, status_of_an_error, stored_orders

DRILL = Drill(
    "200 means stored, one seat one charge, closed browsers and a full pool",
    (stored_orders, one_charge, closed_browsers),
    warm_up=status_of_an_error,
)
