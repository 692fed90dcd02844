"""Exercise 03: the shop's pools: lost connections, orders that wait for each other, an overload."""

from ...checking.drill import Drill
from . import deadlocked_orders, given_back, holders, lost_connections, morning_of_the_sale

DRILL = Drill(
    "the shop's pools on the morning of the sale",
    (lost_connections, deadlocked_orders, morning_of_the_sale),
    warm_up=given_back,
    stretch=holders,
)
