"""A retry that does nothing twice: conflicts, at COMMIT too, and other errors."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .payment import Payment
from .scenes import (
    ATTEMPTS,
    PAID,
    always_in_conflict,
    dies_in_commit,
    is_broken_off,
    others_get_a_turn,
    told,
)

TITLE = "a retry that does nothing twice"

HINTS = (
    "In which transaction does the second attempt run? And which statement can fail "
    "although it is not written in `work`?",
    "An aborted transaction accepts nothing more, so each attempt needs a new one. COMMIT may "
    "raise 40001 as well, and it is sent when the block is left. Most other errors come again at "
    "the next attempt; after a broken connection you do not know whether COMMIT was done.",
    "A loop of five; in it `try`, in that `async with pool.acquire() as conn, "
    'conn.transaction(isolation="serializable")`; `except (asyncpg.SerializationError, '
    "asyncpg.DeadlockDetectedError)`: raise at the fifth. Then a random pause, after the `try`.",
)

TRAPS = {
    "aborted block": "The second attempt ran inside the transaction of the first, which was "
    "aborted.",
    "commit": "The SerializationError of COMMIT was not retried: it is raised when the block is "
    "left, and there the `try` did not catch it.",
    "lower level": "A conflict that Serializable notices, and no lower level does, was committed.",
    "no end": "With a conflict every time, a sixth attempt began.",
    "anything": "An error was retried that is neither 40001 nor 40P01.",
    "twice": "The connection broke during COMMIT, and the work was done again: the first may have "
    "been committed, and here it was.",
}


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
            told(*plain),
        )
        seen = {}
        for wrong in ("in a statement", "at COMMIT", "deadlock detected"):
            seen[wrong] = one = await run(wrong)
            exam.criterion(
                f"40P01, {wrong}, once: paid once"
                if wrong == "deadlock detected"
                else f"40001 {wrong}, once: paid once",
                is_paid(*one) and one[0].calls == 2,
                told(*one),
            )
        kind = asyncpg.SerializationError
        always = await always_in_conflict(
            exam, look, pool, Payment(other, next(amounts), "in turn", 1000)
        )
        exam.criterion(
            f"40001 and 40P01 in turn: after {ATTEMPTS} attempts the last error arrives, nothing "
            "is paid",
            isinstance(always[1].error, kind) and always[0].calls == ATTEMPTS and not always[2],
            told(*always),
        )
        unique = await run("unique", 1000)
        exam.criterion(
            "23505: not tried again, the error arrives, nothing is paid",
            isinstance(unique[1].error, asyncpg.UniqueViolationError)
            and unique[0].calls == 1
            and not unique[2],
            told(*unique),
        )
        unknown = await run("outcome unknown", 1000)
        exam.criterion(
            "40003, outcome unknown: not tried again, the error arrives, nothing is paid",
            isinstance(unknown[1].error, asyncpg.StatementCompletionUnknownError)
            and unknown[0].calls == 1
            and not unknown[2],
            told(*unknown),
        )
        python = await run("python", 1000)
        exam.criterion(
            "an error of Python: not tried again, it arrives, nothing is paid",
            isinstance(python[1].error, LookupError) and python[0].calls == 1 and not python[2],
            told(*python),
        )
        for cancelled in (True, False):
            work = Payment(other, next(amounts))
            await is_broken_off(exam, stack, look, pool, work, cancelled)
        pool.terminate()
        await others_get_a_turn(exam, stack, Payment(other, next(amounts), "in a statement"))
        work, outcome, paid = await dies_in_commit(exam, stack, look, next(amounts))
        exam.criterion(
            "the connection dies in COMMIT: not tried again, the error arrives, paid once at most",
            outcome.error is not None and work.calls == 1 and paid <= 1,
            told(work, outcome, paid),
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
    elif max(one[0].calls for one in (unique, unknown, python)) > 1:
        exam.trap("anything")
    elif work.calls > 1:
        exam.trap("twice")
