"""Exercise 18: where a service is connected, and a load that leaves the pool to the others."""

from ...checking.drill import Drill
from . import load_through_a_pool, tenant_fee, who_is_there

DRILL = Drill(
    "one service behind three poolers",
    (tenant_fee, load_through_a_pool),
    warm_up=who_is_there,
)
