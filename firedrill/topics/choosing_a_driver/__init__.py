"""Exercise 17: a list, a sale and an import change their driver."""

from ...checking.drill import Drill
from . import any_driver, importing, name_search, order_list, selling

DRILL = Drill(
    "a list, a sale and an import change their driver",
    (order_list, selling, importing),
    warm_up=name_search,
    stretch=any_driver,
)
