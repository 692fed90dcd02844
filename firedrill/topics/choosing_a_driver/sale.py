"""The learner's function at work on a pool, and who looks from outside."""

from __future__ import annotations

from typing import Any

from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.server import ROLE

EVENT, SIZE = 5, 3
SHOP = f"""
    create table first_orders (customer_id int primary key, order_id int not null);
    grant all on first_orders to {ROLE};
    create sequence attempts;
    create function refuse() returns trigger language plpgsql security definer as $$
    begin
        if nextval('attempts') <= tg_argv[0]::int then
            raise exception 'refused by the exercise' using errcode = tg_argv[1];
        end if;
        return new;
    end $$;
    create function slow() returns trigger language plpgsql as $$
    begin perform pg_sleep(1.2); return new; end $$"""
REFUSE = {
    "insert": "create trigger refuse before insert on orders "
    "for each row execute function refuse({}, '{}')",
    "first": "create trigger refuse before insert on first_orders "
    "for each row execute function refuse({}, '{}')",
    "commit": "create constraint trigger refuse after insert on orders "
    "deferrable initially deferred "
    "for each row execute function refuse({}, '{}')",
}
STORED = """
    select status::text,
           (select count(*) from orders
            where basket -> 'seats' ? label and basket ->> 'event' = '5') as orders
    from seats where event_id = 5 and label = $1"""
ORDER = """
    select customer_id, total_cents, basket::text, jsonb_typeof(basket) as kind
    from orders where id = $1"""
SOLD = "sold, 1 order"
FREE = "free, 0 orders"
NO_ORDER = "and there is no such order"


class Sale:
    """`model` is the order that the original has stored."""

    def __init__(self, exam: Examination, admin: Any, pool: Any, model: Any) -> None:
        self.exam, self.admin, self.pool, self.model = exam, admin, pool, model

    async def sell(self, customer: int, seat: str, limit: float = 5) -> tuple[Outcome, str]:
        """What came of it, and what is stored: "sold, 1 order", say."""
        outcome = await self.exam.run(self.pool, customer, EVENT, seat, limit=limit)
        if (
            outcome.returned
            and is_number(outcome.value)
            and not await self.admin.fetch(ORDER, outcome.value)
        ):
            return outcome, NO_ORDER
        row = await self.admin.fetchrow(STORED, seat)
        return outcome, f"{row['status']}, {row['orders']} order{'s' * (row['orders'] != 1)}"

    async def refused(
        self, where: str, times: int, sqlstate: str, seat: str
    ) -> tuple[Outcome, str, int]:
        """The same, while PostgreSQL refuses so many times; and how often it was tried."""
        await self.admin.execute(
            f"alter sequence attempts restart; {REFUSE[where].format(times, sqlstate)}"
        )
        outcome, stored = await self.sell(30 + times, seat)
        table = "first_orders" if where == "first" else "orders"
        await self.admin.execute(f"drop trigger refuse on {table}")
        return outcome, stored, await self.admin.fetchval("select last_value from attempts")

    def leaked(self) -> int:
        return int(self.pool.get_size() - self.pool.get_idle_size())


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def came(outcome: Outcome, stored: str) -> str:
    what = (
        "a number came back"
        if is_number(outcome.value)
        else "None came back"
        if outcome.returned and outcome.value is None
        else str(outcome)
    )
    return f"{what}; {stored}"
