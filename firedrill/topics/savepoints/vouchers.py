"""The table of the vouchers, what counts and breaks in it, and the rows of a batch (task 3)."""

from __future__ import annotations

from typing import Any

ROWS = 1000
BAD = 300  # is found before the deadlock, and again after it

# nextval and setval are not undone, so the sequence keeps the largest number whatever is rolled
# back.
SCHEMA = """
    create table vouchers (
        code text primary key, order_id int not null references orders,
        cents int not null check (cents > 0));
    grant all on vouchers to encore;
    create sequence most_locks minvalue 0 start 0;
    create function count_locks() returns trigger language plpgsql security definer as $$
    begin
        perform setval('most_locks', greatest(last_value, (
            select count(*) from pg_locks
            where pid = pg_backend_pid() and locktype = 'transactionid'))) from most_locks;
        return null;
    end $$;
    create trigger count_locks after insert on vouchers
        for each statement execute function count_locks()"""

# A transaction that loses each time, and what it has counted stays.
ALWAYS = """
    create sequence attempts;
    create function loses() returns trigger language plpgsql as $$
    begin
        perform nextval('attempts');
        raise 'could not serialize access' using errcode = '40001';
    end $$;
    grant usage on attempts to encore;
    create trigger loses before insert on vouchers
        for each row when (new.code = 'V0') execute function loses()"""

# Who looks for a deadlock first is its victim; the rival waits for a minute.
IMPATIENT = "alter role encore in database encore set deadlock_timeout = '50ms'"


def rows(bad: int = 0) -> tuple[list[tuple[Any, ...]], list[int]]:
    """Vouchers for orders 2 to 19; and the numbers of those that are bad, in seven ways."""
    made: list[tuple[Any, ...]] = [(f"V{number}", 2 + number % 18, 500) for number in range(ROWS)]
    numbers = [(2 * n + 1) * ROWS // (2 * bad) for n in range(bad)]
    for n, number in enumerate(numbers):
        code, order, cents = made[number]
        made[number] = (
            (code, 99999, cents),
            (code, order, 0),
            ("V0", order, cents),
            (None, order, cents),
            (code, order, 2**31),
            (code, order, None),
            (code, order, "500"),
        )[n % 7]
    return made, numbers
