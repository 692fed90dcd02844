"""Exercise 13: all orders while the shop sells; pages; a generator that is left early."""

from ...checking.drill import Drill
from . import export, first_wanted, one_by_one, pages, whole_file

DRILL = Drill(
    "an export, pages, and the first that is wanted",
    (export, pages, first_wanted),
    warm_up=one_by_one,
    stretch=whole_file,
)
