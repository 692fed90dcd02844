"""Exercise 09: what is kept and what is undone."""

from ...checking.drill import Drill
from . import after_commit, file_of_sales, one_bad_row, optional_points, voucher_batch

DRILL = Drill(
    "a file, an order, a batch",
    (file_of_sales, optional_points, voucher_batch),
    warm_up=one_bad_row,
    stretch=after_commit,
)
