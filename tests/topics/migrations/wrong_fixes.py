"""Wrong fixes for exercise 12."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

ZONE = "alter table seats add column zone text not null default 'stalls'"


# Task 1


async def wait_without_a_limit(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute(ZONE)


async def lock_the_table_first(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("lock table seats")
        await conn.execute(ZONE)


async def try_once(conn: Any) -> None:
    await conn.execute("set lock_timeout = '50ms'")
    await conn.execute(ZONE)


async def limit_on_the_client(conn: Any) -> None:
    await conn.execute(ZONE, timeout=0.1)


async def retry_inside(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local lock_timeout = '50ms'")
        for _ in range(50):
            try:
                await conn.execute(ZONE)
                return
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(0.05)


async def end_all_that_is_in_the_way(conn: Any) -> None:
    await conn.execute("""
        select pg_terminate_backend(pid) from pg_stat_activity
        where state = 'idle in transaction' and usename = current_user""")
    await conn.execute(ZONE)


async def catch_and_go_on(conn: Any) -> None:
    with contextlib.suppress(asyncpg.LockNotAvailableError):
        await conn.execute(f"set lock_timeout = '50ms'; {ZONE}")


# Task 2


async def if_not_exists(conn: Any) -> None:
    await conn.execute(
        "create index concurrently if not exists orders_placed_at on orders (placed_at)"
    )


async def with_the_limit_of_before(conn: Any) -> None:
    await conn.execute("set lock_timeout = '50ms'")
    for _ in range(50):
        try:
            await conn.execute(
                "create index concurrently if not exists orders_placed_at on orders (placed_at)"
            )
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.05)


async def limited(conn: Any) -> None:
    await conn.execute("set lock_timeout = '50ms'")
    await conn.execute("drop index concurrently if exists orders_placed_at")
    await conn.execute("create index concurrently orders_placed_at on orders (placed_at)")


async def in_a_transaction(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("drop index concurrently if exists orders_placed_at")
        await conn.execute("create index concurrently orders_placed_at on orders (placed_at)")


async def all_in_one(conn: Any) -> None:
    await conn.execute("""
        drop index concurrently if exists orders_placed_at;
        create index concurrently orders_placed_at on orders (placed_at)""")


async def plain(conn: Any) -> None:
    await conn.execute("drop index orders_placed_at")
    await conn.execute("create index orders_placed_at on orders (placed_at)")


async def drop_as_usual(conn: Any) -> None:
    await conn.execute("drop index orders_placed_at")
    await conn.execute("create index concurrently orders_placed_at on orders (placed_at)")


async def reindex(conn: Any) -> None:
    await conn.execute("reindex index concurrently orders_placed_at")


async def plain_with_a_limit(conn: Any) -> None:
    for _ in range(100):
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '50ms'")
                await conn.execute("drop index if exists orders_placed_at")
                await conn.execute("create index orders_placed_at on orders (placed_at)")
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.05)


async def end_the_writer(conn: Any) -> None:
    await conn.execute("""
        select pg_terminate_backend(pid) from pg_stat_activity
        where state = 'idle in transaction' and usename = current_user""")
    await conn.execute("reindex index concurrently orders_placed_at")


async def retry_a_transaction_from_inside(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local lock_timeout = '50ms'")
        for _ in range(50):
            try:
                await conn.execute("drop index orders_placed_at")
                break
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(0.05)
        await conn.execute("create index orders_placed_at on orders (placed_at)")


# Task 3

Deploy = Callable[[], Awaitable[None]]
BOTH = """
    create function both_amounts() returns trigger language plpgsql as $$
    begin
        if tg_op = 'INSERT' then
            new.paid_cents := coalesce(new.paid_cents, new.amount_cents);
            new.amount_cents := new.paid_cents;
        elsif new.paid_cents is distinct from old.paid_cents then
            new.amount_cents := new.paid_cents;
        else
            new.paid_cents := new.amount_cents;
        end if;
        return new;
    end $$;
    create trigger both_amounts before insert or update on payments
        for each row execute function both_amounts()"""
END = """
    drop trigger if exists both_amounts on payments; drop function if exists both_amounts;
    alter table payments drop column amount_cents"""


async def rename_first(conn: Any, deploy: Deploy) -> None:
    await conn.execute("alter table payments rename column amount_cents to paid_cents")
    await deploy()


async def drop_before_the_deployment(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"alter table payments add column paid_cents int; {BOTH}")
    await conn.execute(
        "update payments set paid_cents = amount_cents; "
        "alter table payments alter column paid_cents set not null"
    )
    await conn.execute(END)
    await deploy()


async def rename_afterwards(conn: Any, deploy: Deploy) -> None:
    await deploy()
    await conn.execute("alter table payments rename column amount_cents to paid_cents")


async def copy_and_forbid_null(conn: Any, deploy: Deploy) -> None:
    await conn.execute("alter table payments add column paid_cents int")
    await conn.execute(
        "lock table payments; update payments set paid_cents = amount_cents; "
        "alter table payments alter column paid_cents set not null"
    )
    await deploy()
    await conn.execute(END)


async def two_columns(conn: Any, deploy: Deploy) -> None:
    await conn.execute(
        "alter table payments add column paid_cents int, alter column amount_cents drop not null"
    )
    await conn.execute("update payments set paid_cents = amount_cents")
    await deploy()
    await conn.execute("update payments set paid_cents = amount_cents where paid_cents is null")
    await conn.execute(f"{END}; alter table payments alter column paid_cents set not null")


async def a_default_of_nothing(conn: Any, deploy: Deploy) -> None:
    await conn.execute(
        "alter table payments add column paid_cents int not null default 0, "
        "alter column amount_cents set default 1"
    )
    await conn.execute("update payments set paid_cents = amount_cents")
    await deploy()
    await conn.execute(END)


COLUMN = "alter table payments add column paid_cents int check (paid_cents > 0)"
NOT_NULL = "alter table payments alter column paid_cents set not null"


async def whichever_is_missing(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"""
        {COLUMN};
        create function both_amounts() returns trigger language plpgsql as $$
        begin
            new.paid_cents := coalesce(new.paid_cents, new.amount_cents);
            new.amount_cents := coalesce(new.amount_cents, new.paid_cents);
            return new;
        end $$;
        create trigger both_amounts before insert or update on payments
        for each row execute function both_amounts()""")
    await conn.execute(f"update payments set paid_cents = amount_cents; {NOT_NULL}")
    await deploy()
    await conn.execute(END)


async def what_was_there_before_stays_empty(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"{COLUMN}; {BOTH}")
    await deploy()
    await conn.execute(END)


async def without_its_check(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"alter table payments add column paid_cents int; {BOTH}")
    await conn.execute(f"update payments set paid_cents = amount_cents; {NOT_NULL}")
    await deploy()
    await conn.execute(END)


async def the_function_stays(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"{COLUMN}; {BOTH}")
    await conn.execute(f"update payments set paid_cents = amount_cents; {NOT_NULL}")
    await deploy()
    await conn.execute(
        "drop trigger both_amounts on payments; alter table payments drop column amount_cents"
    )


async def limit_that_stays(conn: Any) -> None:
    await conn.execute("set lock_timeout = '50ms'")
    for _ in range(100):
        try:
            await conn.execute(ZONE)
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.05)


async def reset_to_the_default(conn: Any) -> None:
    try:
        await limit_that_stays(conn)
    finally:
        await conn.execute("reset lock_timeout")


async def set_back(conn: Any) -> None:
    before = await conn.fetchval("show lock_timeout")
    try:
        await limit_that_stays(conn)
    finally:
        await conn.execute("select set_config('lock_timeout', $1, false)", before)


async def lock_without_waiting(conn: Any) -> None:
    for _ in range(200):
        try:
            async with conn.transaction():
                await conn.execute("lock table seats in access exclusive mode nowait")
                await conn.execute(ZONE)
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.03)


async def nullable(conn: Any) -> None:
    for _ in range(200):
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '50ms'")
                await conn.execute("alter table seats add column zone text default 'stalls'")
            return
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(0.03)


async def a_limit_of_seconds(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local lock_timeout = '5s'")
        await conn.execute(ZONE)


async def three_attempts(conn: Any) -> None:
    for _ in range(3):
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '50ms'")
                await conn.execute(ZONE)
            return
        except asyncpg.LockNotAvailableError as error:
            failed = error
    raise failed


async def no_limit_stays(conn: Any) -> None:
    await conn.execute("set statement_timeout = '1min'")
    await reindex(conn)


async def one_more_index(conn: Any) -> None:
    await conn.execute("create index concurrently orders_placed_at2 on orders (placed_at)")


async def beside_and_renamed(conn: Any) -> None:
    await conn.execute("create index concurrently orders_placed_at2 on orders (placed_at)")
    await conn.execute("drop index concurrently orders_placed_at")
    await conn.execute("alter index orders_placed_at2 rename to orders_placed_at")


async def the_trigger_stays(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"{COLUMN}; {BOTH}")
    await conn.execute(f"update payments set paid_cents = amount_cents; {NOT_NULL}")
    await deploy()
    await conn.execute("alter table payments drop column amount_cents")


async def fill_and_forbid_without_a_trigger(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"{COLUMN}; update payments set paid_cents = amount_cents")
    written = await conn.fetchval("select count(*) from payments")
    while await conn.fetchval("select count(*) from payments") < written + 10:
        await asyncio.sleep(0.01)
    await conn.execute(NOT_NULL)
    await deploy()


async def copy_then_add_the_trigger(conn: Any, deploy: Deploy) -> None:
    await conn.execute("alter table payments add column paid_cents int")
    await conn.execute("update payments set paid_cents = amount_cents")
    written = await conn.fetchval("select count(*) from payments")
    while await conn.fetchval("select count(*) from payments") < written + 10:
        await asyncio.sleep(0.01)
    await conn.execute(BOTH)
    await deploy()
    await conn.execute(END)


async def without_a_deployment(conn: Any, deploy: Deploy) -> None:
    await conn.execute(f"alter table payments add column paid_cents int; {BOTH}")
    await conn.execute("update payments set paid_cents = amount_cents")


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "queue"): wait_without_a_limit,
    (1, "gave up"): try_once,
    (1, "aborted"): retry_inside,
    (1, "killed"): end_all_that_is_in_the_way,
    (1, "silent"): catch_and_go_on,
    (2, "queue"): drop_as_usual,
    (2, "writers"): plain_with_a_limit,
    (2, "invalid"): if_not_exists,
    (2, "transaction"): in_a_transaction,
    (2, "aborted"): retry_a_transaction_from_inside,
    (2, "gave up"): limited,
    (2, "killed"): end_the_writer,
    (3, "at once"): rename_first,
    (3, "too late"): rename_afterwards,
    (3, "outlived"): the_trigger_stays,
    (3, "refused"): copy_and_forbid_null,
    (3, "apart"): two_columns,
    (3, "copied"): copy_then_add_the_trigger,
    (3, "updates"): whichever_is_missing,
    (3, "unfilled"): what_was_there_before_stays_empty,
    (3, "not deployed"): without_a_deployment,
}
# A trap, "" for a failure without one, None for a right answer.
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "queue", lock_the_table_first),
    (1, "gave up", limit_on_the_client),
    (2, None, reindex),
    (2, "writers", plain),
    (2, "invalid", with_the_limit_of_before),
    (2, "transaction", all_in_one),
    (3, "at once", drop_before_the_deployment),
    (3, "apart", a_default_of_nothing),
    (1, "", limit_that_stays),
    (3, "", without_its_check),
    (3, "", the_function_stays),
    (3, "copied", fill_and_forbid_without_a_trigger),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "", reset_to_the_default),
    (1, "", nullable),
    (1, "queue", a_limit_of_seconds),
    (1, "gave up", three_attempts),
    (1, None, set_back),
    (1, None, lock_without_waiting),
    (2, "", no_limit_stays),
    (2, "invalid", one_more_index),
    (2, None, beside_and_renamed),
)
