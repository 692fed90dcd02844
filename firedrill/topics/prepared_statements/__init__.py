"""Exercise 10: Encore's order service behind a PgBouncer in transaction mode."""

from ...checking.drill import Drill
from . import connection_options, export, fifty_prices, free_seats, one_text

DRILL = Drill(
    "Encore's order service behind PgBouncer",
    (connection_options, free_seats, fifty_prices),
    warm_up=one_text,
    stretch=export,
)
