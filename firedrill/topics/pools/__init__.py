"""Exercise 02: the pool of a ticket office."""

from ...checking.drill import Drill
from . import a_wait_that_ends, busy_box_office, changing_password, lasting_settings, shutdown

DRILL = Drill(
    "the pool of a ticket office",
    (lasting_settings, busy_box_office, shutdown),
    warm_up=a_wait_that_ends,
    stretch=changing_password,
)
