"""Exercise 09, task 3: a thousand vouchers in few round trips; and how a learner's function is interrupted while it waits."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...servers.server import SUPERUSER
from . import attempt
from ...checking.outcome import Outcome
from ...checking.examination import Examination

ROWS = 1000
ROUND_TRIPS = 1000  # one for each row; a savepoint for each row takes 3,000, halving with 10 bad rows about 500
BAD = 300  # is found before the dead-lock, and again after it
LOCKS = 200  # a chunk of 100 savepoints that are rolled back, twice
# nextval and setval are not undone, so the sequence keeps the largest number whatever is rolled back.
SCHEMA = """
    create table vouchers (code text primary key, order_id int not null references orders, cents int not null check (cents > 0));
    grant all on vouchers to encore;
    create sequence most_locks minvalue 0 start 0;
    create function count_locks() returns trigger language plpgsql security definer as $$
    begin
        perform setval('most_locks', greatest(last_value, (
            select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'transactionid'))) from most_locks;
        return null;
    end $$;
    create trigger count_locks after insert on vouchers for each statement execute function count_locks()"""
# A transaction that loses each time, and what it has counted stays.
ALWAYS = """
    create sequence attempts;
    create function loses() returns trigger language plpgsql as $$
    begin
        perform nextval('attempts');
        raise 'could not serialize access' using errcode = '40001';
    end $$;
    grant usage on attempts to encore;
    create trigger loses before insert on vouchers for each row when (new.code = 'V0') execute function loses()"""
ATTEMPTS = 5
# Who looks for a dead-lock first is its victim; the rival waits for a minute.
IMPATIENT = "alter role encore in database encore set deadlock_timeout = '50ms'"

TRAPS = {
    "row by row": "The right rows, and too many round trips: a savepoint for each row costs three.",
    "piled up": "The more rows are bad, the more transaction numbers stay locked: savepoints that are rolled back are still set. "
    "A longer file fills the lock table of the whole server.",
    "blamed": "There was nothing wrong with those rows: a dead-lock hit the transaction, and they were refused for it.",
    "counted twice": "The bad row of the first attempt came back with that of the second: what an attempt has found ends "
    "with the attempt.",
    "inside": "The retry was inside of the transaction: the dead-lock came again, as the locks were never given back, or the "
    "transaction was aborted.",
    "never gives up": "It went on after the fifth attempt. Whatever broke the first five will break the next as well, and "
    "whoever waits for the load learns nothing.",
    "piece by piece": "The load was interrupted, and a part of it stays.",
}

Interrupt = Callable[[asyncio.Task[Any]], Awaitable[None]]


async def interrupted(
    exam: Examination, look: Any, interrupt: Interrupt, *arguments: Any, limit: float = 10
) -> Outcome:
    """Run the learner's code until one of its queries waits for a lock, then `interrupt` it. The holder lets go later."""

    async def call() -> Any:
        result = exam.code(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def code() -> Any:
        task = asyncio.ensure_future(call())
        await until_waiting(look, 1, task)
        await interrupt(task)
        return await task

    return await attempt.run(code, limit=limit)


async def until_waiting(look: Any, count: int, task: asyncio.Future[Any]) -> None:
    """Until so many backends wait for a lock, or the task is done."""
    while not task.done() and count > await look.fetchval(
        "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
    ):
        await asyncio.sleep(0.01)


def rows(bad: int = 0) -> tuple[list[tuple[Any, ...]], list[int]]:
    """Vouchers for orders 2 to 19, and the numbers of those that are bad, each in one of five ways."""
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
        )[n % 5]
    return made, numbers


async def examine(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER))
        await look.execute(SCHEMA)
        if not await _batch(exam, stack, look):
            return
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=2)
        try:
            if await _interruption(exam, stack, look, pool) and await _dead_lock(exam, stack, look):
                await _again_and_again(exam, look, pool)
        finally:
            pool.terminate()


async def _batch(exam: Examination, stack: Any, look: Any) -> bool:
    """10 bad rows, counted on the wire; then 300, with the locks of the transaction. Is there a point in going on?"""
    with wire.tap(stack, before="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=1, max_size=2)
        made, bad = rows(10)
        tap.clear()
        outcome = await exam.run(pool, made, limit=20)
        trips = tap.round_trips()
        right = await _stored(exam, look, outcome, made, bad)
        exam.criterion(f"in at most {ROUND_TRIPS} round trips", trips <= ROUND_TRIPS, f"{trips}")
        pool.terminate()
    if right and trips > ROUND_TRIPS:
        exam.trap("row by row")
    if not right:
        return False
    await look.execute("delete from vouchers; select setval('most_locks', 0)")
    pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=2)
    made, bad = rows(300)
    outcome = await exam.run(pool, made, limit=20)
    right = await _stored(exam, look, outcome, made, bad)
    locks = await look.fetchval("select last_value from most_locks")
    exam.criterion(
        f"and never more than {LOCKS} transaction numbers locked", locks <= LOCKS, f"{locks}"
    )
    if right and locks > LOCKS:
        exam.trap("piled up")
    pool.terminate()
    return right


async def _stored(
    exam: Examination, look: Any, outcome: Outcome, made: list[tuple[Any, ...]], bad: list[int]
) -> bool:
    kept = await look.fetchval(
        "select count(*) from vouchers where code = any($1) and cents = 500",
        [row[0] for row in made],
    )
    refused = (
        outcome.value
        if outcome.returned and isinstance(outcome.value, list | tuple | set)
        else None
    )
    right = kept == ROWS - len(bad) and refused is not None and sorted(refused) == bad
    exam.criterion(
        f"{len(bad)} of {ROWS} vouchers are bad: the others are stored, those come back",
        right,
        f"{kept} stored, {'' if refused is None else f'{len(refused)} numbers came back'}"
        f"{outcome if refused is None else ''}",
    )
    return right


async def _interruption(exam: Examination, stack: Any, look: Any, pool: Any) -> bool:
    """By a cancellation, and by an administrator. Is there a point in going on?"""

    async def cancel(task: asyncio.Task[Any]) -> None:
        task.cancel()

    async def end_the_query(_: asyncio.Task[Any]) -> None:
        await look.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
        )

    return await _interrupted_by(
        exam, stack, look, pool, "cancelled", cancel, asyncio.CancelledError
    ) and await _interrupted_by(
        exam,
        stack,
        look,
        pool,
        "ended by an administrator, 57014,",
        end_the_query,
        asyncpg.QueryCanceledError,
    )


async def _interrupted_by(
    exam: Examination,
    stack: Any,
    look: Any,
    pool: Any,
    how: str,
    interrupt: Interrupt,
    error: type[BaseException],
) -> bool:
    await look.execute("delete from vouchers")
    rival = await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER))
    await rival.execute("begin; select from orders where id = 20 for update")
    made, _ = rows()
    made[700] = ("V700", 20, 500)
    outcome = await interrupted(exam, look, interrupt, pool, made, limit=5)
    await rival.close()
    kept = await look.fetchval("select count(*) from vouchers")
    left = isinstance(outcome.error, error)
    exam.criterion(
        f"{how} while row 700 waits for a lock: that leaves the function, and nothing stays",
        left and not kept,
        f"{outcome}; {kept} vouchers stored",
    )
    if kept and left:
        exam.trap("piece by piece")
    return not kept


async def _dead_lock(exam: Examination, stack: Any, look: Any) -> bool:
    """The load has order 1 and waits for order 20; the rival has 21 and waits for 1; then the load goes on, and wants 21."""
    await look.execute(f"delete from vouchers; {IMPATIENT}")
    rival, third = [
        await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER)) for _ in range(2)
    ]
    await rival.execute(
        "set deadlock_timeout = '1min'; begin; select from orders where id = 21 for update"
    )
    await third.execute("begin; select from orders where id = 20 for update")
    made, _ = rows()
    for number, order in ((0, 1), (BAD, 99999), (700, 20), (999, 21)):
        made[number] = (f"V{number}", order, 500)

    async def takes_order_1() -> None:
        await rival.execute("select from orders where id = 1 for update")
        await rival.execute("commit")

    other: asyncio.Future[None] | None = None

    async def cross(task: asyncio.Task[Any]) -> None:
        nonlocal other
        other = asyncio.ensure_future(takes_order_1())
        await until_waiting(look, 2, task)
        await third.execute("rollback")

    with wire.tap(stack, before="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=1, max_size=2)
        outcome = await interrupted(exam, look, cross, pool, made)
        pool.terminate()
        errors = [event.text for event in tap.events if event.message == "ErrorResponse"]
    if other:
        await asyncio.wait({other}, timeout=5)
        other.cancel()
    kept = await look.fetchval("select count(*) from vouchers")
    refused = outcome.value if outcome.returned else None
    exam.criterion(
        f"a dead-lock at row 999, and row {BAD} is bad: the others are stored, that one comes back",
        kept == ROWS - 1 and refused == [BAD],
        f"{outcome}; {kept} stored"
        + (f", {len(refused)} refused" if isinstance(refused, list) else ""),
    )
    if refused == [BAD, BAD]:
        exam.trap("counted twice")
    elif isinstance(refused, list) and set(refused) - {BAD}:
        exam.trap("blamed")
    elif sum("40P01" in text for text in errors) > 1 or isinstance(
        outcome.error, asyncpg.InFailedSQLTransactionError
    ):
        exam.trap("inside")
    return refused == [BAD]


async def _again_and_again(exam: Examination, look: Any, pool: Any) -> None:
    await look.execute(f"delete from vouchers; {ALWAYS}")
    outcome = await exam.run(pool, rows()[0][:2], limit=8)
    attempts = await look.fetchval(
        "select case when is_called then last_value else 0 end from attempts"
    )
    exam.criterion(
        f"40001 each time: {ATTEMPTS} attempts, and its error leaves the function",
        attempts == ATTEMPTS and isinstance(outcome.error, asyncpg.SerializationError),
        f"{attempts}; {outcome}",
    )
    if attempts > ATTEMPTS and not outcome.returned:
        exam.trap("never gives up")
    elif outcome.returned:
        exam.trap("blamed")
