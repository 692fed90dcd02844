"""Exercise 02: the pool of a ticket office."""

from ...checking.drill import Drill
from . import busy_box_office, lasting_settings, shutdown

DRILL = Drill("the pool of a ticket office", (lasting_settings, busy_box_office, shutdown))
