"""Exercise 05: a basket that is a dict, a status that is an enum, baskets encoded twice."""

from ...checking.drill import Drill
from . import baskets_as_dicts, cannot_be_stored, encoded_twice, jsonb_as_dict, status_as_enum

DRILL = Drill(
    "baskets, statuses, and what was encoded twice",
    (baskets_as_dicts, status_as_enum, encoded_twice),
    warm_up=jsonb_as_dict,
    stretch=cannot_be_stored,
)
