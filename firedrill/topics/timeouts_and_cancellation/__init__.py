"""Exercise 04: what Encore's shop does when the database does not answer in time."""

from ...checking.drill import Drill
from . import answer_in_time, confirmed_orders, limited_query, numbers_of_one_moment, one_deadline

DRILL = Drill(
    "when the database does not answer in time",
    (confirmed_orders, answer_in_time, numbers_of_one_moment),
    warm_up=limited_query,
    stretch=one_deadline,
)
