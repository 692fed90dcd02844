"""A thousand vouchers in few round trips: bad rows, interruptions, conflicts."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination, Running
from ...checking.outcome import Outcome
from .deadlock import deadlock
from .interrupting import Interrupt, cancel, interrupted
from .vouchers import ALWAYS, ROWS, SCHEMA, rows

TITLE = "a thousand vouchers in few round trips"

HINTS = (
    "Count: how many round trips does a row take, and how many of the rows are bad? Does a "
    "deadlock hit a row, or the transaction?",
    "executemany() in a savepoint stores a hundred rows at once; where it fails, try each half "
    "alone. Savepoints that were rolled back stay set until one around them is released. And a "
    "deadlock ends only when locks are released.",
    "for attempt in range(5): try: acquire, transaction(), then for each hundred rows a "
    "transaction() around halves(…); except SerializationError and DeadlockDetectedError around "
    "all of that. In halves(): except only DataError and IntegrityConstraintViolationError; a "
    "single row that fails is bad.",
)

TRAPS = {
    "row by row": "The right rows, and too many round trips: a savepoint for each row costs three.",
    "piled up": "The more rows are bad, the more transaction numbers stay locked: savepoints that "
    "are rolled back are still set. A longer file fills the lock table of the whole server.",
    "blamed": "There was nothing wrong with those rows: the error hit the transaction, and the "
    "rows were refused for it.",
    "counted twice": "The bad row of the first attempt came back with that of the second: each "
    "attempt has to begin with an empty list.",
    "inside": "The retry was inside the transaction: the deadlock came again, as the locks were "
    "not released, or the transaction was aborted.",
    "never gives up": "It went on after the fifth attempt. The cause that broke the first five "
    "will break the next as well, and the caller learns nothing.",
    "piece by piece": "The load was interrupted, and a part of it stays.",
}

# One for each row. A savepoint for each row takes 3,000, halving with 10 bad rows about 500.
ROUND_TRIPS = 1000
LOCKS = 200  # a chunk of 100 savepoints that are rolled back, twice
ATTEMPTS = 5


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(SCHEMA)
        if not await _batch(exam, stack, look):
            return
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=1, max_size=2)
        try:
            if await _interruption(exam, stack, look, pool) and await deadlock(exam, stack, look):
                await _again_and_again(exam, look, pool)
        finally:
            pool.terminate()


async def _batch(exam: Examination, stack: Any, look: Any) -> bool:
    """10 bad rows, counted on the wire; then 300, with the locks of the transaction.

    Is there a point in going on?
    """
    with wire.tap(stack, in_front_of="postgres") as tap:
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
    printed = next(number for number in range(ROWS) if number not in bad)
    await look.execute(f"insert into vouchers values ('{made[printed][0]}', 1, 900)")
    bad = sorted([*bad, printed])
    outcome = await exam.run(pool, made, limit=20)
    right = await _stored(exam, look, outcome, made, bad)
    kept = await look.fetchval("select cents from vouchers where code = $1", made[printed][0])
    exam.criterion(
        "the one that was printed before stays as it was", kept == 900, f"its cents are {kept}"
    )
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

    async def end_the_query(_: Running) -> None:
        await look.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity "
            "where cardinality(pg_blocking_pids(pid)) > 0"
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
    rival = await admin(stack)
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
