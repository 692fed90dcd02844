"""Exercise 11: what clients leave on each other's backends in transaction mode."""

from ...checking.drill import Drill
from . import limit_of_one_query, poisoner, promoters_orders, settlement, where_am_i

DRILL = Drill(
    "services behind PgBouncer in transaction mode",
    (settlement, promoters_orders, poisoner),
    warm_up=limit_of_one_query,
    stretch=where_am_i,
)
