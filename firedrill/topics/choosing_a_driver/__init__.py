"""Exercise 17: a list, a sale and an import change their driver."""

from ...checking.drill import Drill
from . import copy_in_a_session, importing, order_list, placeholders, selling

DRILL = Drill(
    "a list, a sale and an import change their driver",
    (order_list, selling, importing),
    warm_up=placeholders,
    stretch=copy_in_a_session,
)
