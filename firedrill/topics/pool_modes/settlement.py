"""A settlement, never two at a time: which lock belongs to a worker that is given any backend."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.isolated import Process
from ...checking.outcome import Outcome

TITLE = "a settlement, never two at a time"

HINTS = (
    "The lock of the starter belongs to a session. Which session does a worker have while it pays?",
    "Two workers that come one after the other can be given the same backend, and a session may "
    "take its own lock again. For how long does a client keep its backend, in transaction mode?",
    "There is a kind of advisory lock that ends with a transaction, with a variant that does not "
    "wait. Ask for it, and pay, in one `async with conn.transaction()`.",
)

TRAPS = {
    "session": "Both paid, although an advisory lock was held. It belongs to the backend, and both "
    "were given the same one. It does not matter how often one asks, or how it is unlocked.",
    "gone": "Both paid, and no advisory lock was held meanwhile. One that is asked for outside a "
    "transaction, as a lock of the transaction, lasts as long as its statement.",
    "waits": "The second worker waited for the first. It has to be told at once; after waiting it "
    "pays everything once more.",
    "process": "The worker in this process was told so, and the one in another process paid: only "
    "this process knows of it. The workers run on different machines.",
    "stops the shop": "A customer's payment had to wait until the promoters were paid: the lock is "
    "on a table or on rows that others write.",
    "aborted": "PostgreSQL takes no statement after an error until the transaction is rolled back: "
    "the unlock failed, its error hides the one that mattered, and the lock of the session is "
    "still there.",
}

PAYMENT = "insert into payments (order_id, amount_cents, method) values (1, 1700, 'transfer')"
REFUSED = "insert into payments (order_id, amount_cents, method) values (999999, 1700, 'transfer')"
PAID = "select count(*) from payments where amount_cents = 1700"
CUSTOMERS = "insert into payments (order_id, amount_cents, method) values (2, 99, 'card')"
ADVISORY = "select count(*) from pg_locks where locktype = 'advisory'"
WORKER_THERE = f"""
_conn = await asyncpg.connect(_dsn)
async def _pay(conn):
    await conn.execute({PAYMENT!r})
"""


async def check(exam: Examination) -> None:
    async with contextlib.AsyncExitStack() as processes:
        try:
            there = await processes.enter_async_context(exam.in_process())
        except (OSError, TypeError):
            exam.criterion(
                "the function can be sent to another process",
                False,
                "it was not defined in a cell, by `async def`",
            )
            return
        with servers.open() as stack:
            dsn = stack.pgbouncer.dsn("transaction")
            look = await admin(stack)
            await there.do(WORKER_THERE, _dsn=dsn)
            first, second, third, holder = [await asyncpg.connect(dsn) for _ in range(4)]
            if await _two_workers(exam, there, look, first, second, holder):
                paid = await look.fetchval(PAID)
                exam.criterion(
                    "afterwards its payments are there", paid > 0, "there" if paid else "none is"
                )
                await _nights(exam, look, third, holder)


async def _pay(conn: Any) -> None:
    await conn.execute(PAYMENT)


async def _two_workers(
    exam: Examination, there: Process, look: Any, first: Any, second: Any, holder: Any
) -> bool:
    """Is there a point in going on? Afterwards `holder` has a backend."""
    meanwhile: list[Outcome] = []  # of a worker there, and of one here
    paid: list[int] = []
    known = served = False

    async def slowly(conn: Any) -> None:
        nonlocal known, served
        known = bool(await look.fetchval(ADVISORY))
        await _pay(conn)
        with contextlib.suppress(TimeoutError):  # a customer, who needs no settlement
            await look.execute(CUSTOMERS, timeout=1.5)
            served = True
        paid.append(await look.fetchval(PAID))
        meanwhile.append(await there.run("_conn, _pay", limit=1.5))
        paid.append(await look.fetchval(PAID))
        meanwhile.append(await exam.run(second, _pay, limit=1.5))
        paid.append(await look.fetchval(PAID))
        await holder.execute("begin")  # has the backend that was used last, unless `first` keeps it

    outcome = await exam.run(first, slowly, limit=12)
    exam.criterion("one worker settles", outcome.value is True, str(outcome))
    if len(meanwhile) < 2:
        exam.criterion("and pays", False, "pay() was not called, or not to its end")
        return False
    exam.criterion(
        "meanwhile a customer's payment is taken, too",
        served,
        "taken" if served else "not within 1.5 s",
        timed=True,
    )
    if not served:
        exam.trap("stops the shop")
    twice = [paid[1] > paid[0], paid[2] > paid[1]]
    for where, other, also in zip(("another", "this"), meanwhile, twice, strict=True):
        exam.criterion(
            f"a second worker comes meanwhile, in {where} process: it is told so, at once",
            other.value is False and not also,
            "it paid as well" if also else str(other),
            timed=other.hung,
        )
    if not served:
        return True
    if any(other.hung for other in meanwhile):
        exam.trap("waits")
    elif all(twice):
        exam.trap("session" if known else "gone")
    elif (
        meanwhile[1].value is False
        and not twice[1]
        and (twice[0] or meanwhile[0].value is not False)
    ):
        exam.trap("process")
    return True


async def _nights(exam: Examination, look: Any, conn: Any, holder: Any) -> None:
    async def fail(conn: Any) -> None:
        raise ValueError("order 7 has no customer")

    async def be_refused(conn: Any) -> None:
        await _pay(conn)
        await conn.execute(REFUSED)

    async def settle_after_that() -> None:
        outcome = await exam.run(conn, _pay, limit=3)
        exam.criterion("the night after that: it settles", outcome.value is True, str(outcome))

    outcome = await exam.run(conn, _pay, limit=3)
    await holder.execute("rollback")
    exam.criterion(
        "the next night, on another backend: it settles", outcome.value is True, str(outcome)
    )
    outcome = await exam.run(conn, fail, limit=3)
    exam.criterion(
        "paying fails: the error arrives", isinstance(outcome.error, ValueError), str(outcome)
    )
    await settle_after_that()
    outcome = await exam.run(conn, be_refused, limit=3)
    exam.criterion(
        "PostgreSQL refuses a payment: that error arrives",
        isinstance(outcome.error, asyncpg.ForeignKeyViolationError),
        str(outcome),
    )
    left = await look.fetchval(ADVISORY)
    if isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted")
    await settle_after_that()
    left += await look.fetchval(ADVISORY)
    exam.criterion("no worker is settling: no lock is left", not left, "left" if left else "none")
