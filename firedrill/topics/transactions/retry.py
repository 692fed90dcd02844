"""A retry that does nothing twice: conflicts, at COMMIT too, and other errors."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.stack import Stack
from .locks import waits_for_a_lock
from .payment import Payment

TITLE = "a retry that does nothing twice"

HINTS = (
    "In which transaction does the second attempt run? And which statement of all can fail "
    "without being written in `work`?",
    "An aborted transaction takes nothing more, so each attempt needs one of its own. COMMIT may "
    "raise 40001 as well, and it is sent when the block is left. Most errors are the same at the "
    "next attempt; after a broken connection nobody knows whether it was committed.",
    "A loop of five; in it `try`, in that `async with pool.acquire() as conn, "
    'conn.transaction(isolation="serializable")`; `except (asyncpg.SerializationError, '
    "asyncpg.DeadlockDetectedError)`: raise at the fifth, else a random pause.",
)

TRAPS = {
    "aborted block": "The second attempt ran inside of the transaction of the first, which was "
    "aborted.",
    "commit": "The SerializationError of COMMIT was not retried: it is raised when the block is "
    "left, outside of the `try`.",
    "lower level": "A conflict that only Serializable notices was committed.",
    "no end": "With a conflict every time there were more than five attempts.",
    "anything": "An error was retried that is no conflict: it is the same next time.",
    "twice": "The connection broke during COMMIT, and the work was done again: the first may have "
    "been committed, and here it was.",
}

ATTEMPTS = 5

SLOW_COMMIT = """
    create function slow() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock(8); return null; end';
    create constraint trigger slow_commit after insert on payments
    deferrable initially deferred for each row execute function slow()"""
PAID = "select count(*) from payments where amount_cents = $1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        other = await asyncpg.connect(stack.postgres.dsn())
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        amounts = iter(range(1_000_001, 1_000_100))

        async def run(wrong: str = "", times: int = 1) -> tuple[Payment, Outcome, int]:
            work = Payment(other, next(amounts), wrong, times)
            outcome = await exam.run(pool, work, limit=8)
            return (
                work,
                outcome,
                await look.fetchval(PAID, work.amount),
            )

        def is_paid(work: Payment, outcome: Outcome, rows: int) -> bool:
            return outcome.value == f"paid {work.amount}" and rows == 1

        plain = await run()
        exam.criterion(
            "nothing in its way: paid once, at the first attempt",
            is_paid(*plain) and plain[0].calls == 1,
            _paid(*plain),
        )
        seen = {}
        for wrong in ("in a statement", "at COMMIT", "dead-lock"):
            seen[wrong] = one = await run(wrong)
            exam.criterion(
                f"40P01, a {wrong}, once: paid once"
                if wrong == "dead-lock"
                else f"40001 {wrong}, once: paid once",
                is_paid(*one) and one[0].calls == 2,
                _paid(*one),
            )
        kind = asyncpg.SerializationError
        always = await run("in a statement", 1000)
        exam.criterion(
            f"40001 every time: after {ATTEMPTS} attempts that error arrives, nothing is paid",
            isinstance(always[1].error, kind) and always[0].calls == ATTEMPTS and not always[2],
            _paid(*always),
        )
        unique = await run("unique", 1000)
        exam.criterion(
            "23505: not tried again, the error arrives, nothing is paid",
            isinstance(unique[1].error, asyncpg.UniqueViolationError)
            and unique[0].calls == 1
            and not unique[2],
            _paid(*unique),
        )
        python = await run("python", 1000)
        exam.criterion(
            "an error of Python: not tried again, it arrives, nothing is paid",
            isinstance(python[1].error, LookupError) and python[0].calls == 1 and not python[2],
            _paid(*python),
        )
        pool.terminate()
        work, outcome, paid = await _dies_in_commit(exam, stack, look, next(amounts))
        exam.criterion(
            "the connection dies in COMMIT: not tried again, the error arrives, paid once at most",
            outcome.error is not None and work.calls == 1 and paid <= 1,
            _paid(work, outcome, paid),
        )
    skewed = seen["at COMMIT"]
    if isinstance(seen["in a statement"][1].error, asyncpg.InFailedSQLTransactionError) or (
        seen["in a statement"][0].calls > len(seen["in a statement"][0].transactions)
    ):
        exam.trap("aborted block")
    elif isinstance(skewed[1].error, kind) and skewed[0].calls == 1:
        exam.trap("commit")
    elif skewed[1].returned and skewed[0].calls == 1:
        exam.trap("lower level")
    elif always[0].calls > ATTEMPTS:
        exam.trap("no end")
    elif unique[0].calls > 1 or python[0].calls > 1:
        exam.trap("anything")
    elif work.calls > 1:
        exam.trap("twice")


async def _dies_in_commit(
    exam: Examination, stack: Stack, look: Any, amount: int
) -> tuple[Payment, Outcome, int]:
    """COMMIT waits for a lock, the client loses its connection, then the server goes on."""
    await look.execute(SLOW_COMMIT)
    await look.execute("select pg_advisory_lock(8)")
    with wire.tap(stack, in_front_of="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        work = Payment(None, amount)
        running = exam.start(pool, work, limit=8)
        await waits_for_a_lock(stack, running)
        tap.reset()
        await running.wait(1)
        await look.execute("select pg_advisory_unlock(8)")
        outcome = await running
        # All transactions that write payments have ended when this lock is given.
        await look.execute("begin; lock table payments in share mode; commit")
        pool.terminate()
    return (
        work,
        outcome,
        await look.fetchval(PAID, amount),
    )


def _paid(work: Payment, outcome: Outcome, rows: int) -> str:
    calls = "1 attempt" if work.calls == 1 else f"{work.calls} attempts"
    paid = ("never", "once", "twice")[rows] if rows < 3 else f"{rows} times"
    return f"{calls}, paid {paid}, {outcome}"
