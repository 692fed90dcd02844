"""What is written of an order: how much there is, and whether it is what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...checking.outcome import Outcome
from .shop import Shop

STATE = """
    select (select count(*) from orders where id > 97),
           (select count(*) from payments where order_id > 97),
           (select count(*) from seats where event_id = 5 and status = 'sold')"""
ORDER = """
    select customer_id, total_cents, (select array_agg((amount_cents, method)::text)
        from payments where order_id = orders.id) as payments from orders where id = $1"""
PRICE = "select sum(price_cents) from seats where event_id = 5 and label = any($1)"
Order = tuple[int, list[str], str]
State = tuple[int, int, int]  # orders, payments, seats sold


async def is_written(shop: Shop, outcome: Outcome, order: Order) -> bool:
    """Under the number that came back are this customer, this price and one such payment."""
    if not outcome.returned or type(outcome.value) is not int:
        return False
    customer, labels, method = order
    row = await shop.look.fetchrow(ORDER, outcome.value)
    price = await shop.look.fetchval(PRICE, labels)
    return row is not None and tuple(row) == (customer, price, [f"({price},{method})"])


async def seen(shop: Shop, outcome: Outcome, state: State) -> str:
    if not outcome.returned:
        return str(outcome)
    row = type(outcome.value) is int and await shop.look.fetchrow(ORDER, outcome.value)
    if not row:
        return f"{outcome}, which is not the number of an order"
    payments = ", ".join(row["payments"] or ("none",))
    return f"{parts(state)}; total {row['total_cents']}, payments {payments}"


async def state_of(conn: Any) -> State:
    orders, payments, seats = await conn.fetchrow(STATE)
    return orders, payments, seats


def less(after: Sequence[int], before: Sequence[int]) -> State:
    orders, payments, seats = (one - other for one, other in zip(after, before, strict=True))
    return orders, payments, seats


def parts(state: State) -> str:
    return f"orders {state[0]}, payments {state[1]}, seats {state[2]}"
