"""Exercise 10: Encore's order service behind a PgBouncer in transaction mode."""

from ...checking.drill import Drill
from . import connection_options, fifty_prices, free_seats, statements_of_a_session

DRILL = Drill(
    "Encore's order service behind PgBouncer",
    (connection_options, free_seats, fifty_prices),
    warm_up=statements_of_a_session,
)
