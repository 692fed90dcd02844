"""Exercise 14: a seat map, a queue of jobs, and a printer."""

from ...checking.drill import Drill
from . import any_name, bad_job, every_job_once, every_seat_once, slow_printer

DRILL = Drill(
    "a seat map, a queue of jobs, and a printer",
    (every_seat_once, every_job_once, slow_printer),
    warm_up=any_name,
    stretch=bad_job,
)
