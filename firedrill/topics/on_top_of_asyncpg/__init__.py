"""Exercise 19: two pull requests for a service on SQLAlchemy."""

from ...checking.drill import Drill
from . import importing, paying

DRILL = Drill("two pull requests for a service on SQLAlchemy", (importing, paying))
