"""Exercise 13: all orders while the shop sells; pages; a generator that is left early."""

from ...checking.drill import Drill
from . import export, first_wanted, old_visits, pages, passes_a_sum

DRILL = Drill(
    "an export, pages, and the first that is wanted",
    (export, pages, first_wanted),
    warm_up=passes_a_sum,
    stretch=old_visits,
)
