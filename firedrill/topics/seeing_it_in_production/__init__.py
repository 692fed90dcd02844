"""Exercise 20: one bad minute, and the signals that would have told."""

from ...checking.drill import Drill
from . import bad_minutes, oldest_transaction, waiting_requests

DRILL = Drill("one bad minute", (bad_minutes, waiting_requests, oldest_transaction))
