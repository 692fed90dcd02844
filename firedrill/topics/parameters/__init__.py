"""Exercise 06: values on their way into queries."""

from ...checking.drill import Drill
from . import exact_payment, labels_as_parameter, prefix, unbendable_search, visitors_day

DRILL = Drill(
    "a search, a day, and a payment",
    (unbendable_search, visitors_day, exact_payment),
    warm_up=labels_as_parameter,
    stretch=prefix,
)
