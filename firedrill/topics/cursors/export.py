"""All orders, and no more memory: of one moment, and without an open transaction while they go."""

from __future__ import annotations

import tracemalloc
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .breaking_off import LIMIT, OPEN, breaks_off, exports_again, folder_for_files
from .orders import many, money_moves
from .receiver import Receiver

TITLE = "all orders, and no more memory"

HINTS = (
    "The task asks for three things: little memory, one moment, and no open transaction while the "
    "receiver rests. Which of them do fetch, a cursor and pages give you?",
    "One moment is one statement, or one transaction. It can be short if nothing in it waits for "
    "the receiver: store what you have read until you send it, but not in memory.",
    "Write a cursor's rows, or COPY, to a tempfile.TemporaryFile; leave the transaction; then read "
    "the file in batches of 500 and send them.",
)

TRAPS = {
    "all at once": "All orders are in memory at one time, whether as records, as a list, or as "
    "bytes.",
    "open": "Little memory, and one moment. But a transaction is open for as long as the receiver "
    "rests: the migration waits, and behind it the shop.",
    "moments": "Little memory, and nothing is open. But each part was read at another moment: an "
    "order that was cancelled in the meantime is missing, and money that moved was counted twice.",
}

ORDERS = 12_000
MEMORY = 3_000_000  # bytes; all orders take 7 million and more, COPY's own buffers up to 1.4
AT_THE_EDGE = 3  # orders that reading at several moments may lose or repeat: one was cancelled
# What customers do while the receiver rests: money moves from an order that was sent to one that
# was not.
MEANWHILE = """
    update orders set total_cents = total_cents - 1000 where id = (select min(id) from orders);
    update orders set total_cents = total_cents + 1000 where id = (select max(id) from orders);
    delete from orders where id = (select max(id) - 7 from orders);
    insert into orders (customer_id, total_cents, basket) values (7, 4900, '{}')"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack, "encore")
        await look.execute(many(ORDERS))
        orders = await look.fetch("select id, total_cents, basket from orders")
        there = [row["id"] for row in orders]
        total = await look.fetchval("select sum(total_cents) from orders")
        migrated = ""

        async def resting() -> None:
            nonlocal migrated
            await rest()
            await look.execute(MEANWHILE)
            try:
                await look.execute("set lock_timeout = '1s'; alter table orders add note text")
                migrated = "it does"
            except asyncpg.LockNotAvailableError:
                migrated = "it waits"
            if await look.fetchval(OPEN):
                migrated += ", and a transaction holds up VACUUM"

        receiver = Receiver(orders, resting)
        del orders
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        await pool.fetchval("select count(*) from orders")
        async with money_moves(stack) as rest:
            outcome, peak = await _memory(exam, pool, receiver)

        missing = sum(not receiver.times[number] for number in there)
        twice = sum(receiver.times[number] > 1 for number in there)
        if not _received(exam, outcome, receiver, missing, twice):
            pool.terminate()
            return
        one_moment = receiver.total == total
        at_the_edge = missing <= AT_THE_EDGE and twice <= AT_THE_EDGE
        if at_the_edge:  # where more is missing, the sum says nothing about moments
            exam.criterion(
                "the sum is that of one moment",
                one_moment,
                "it is"
                if one_moment
                else f"{total} cents at all moments of the reading, {receiver.total} sent",
            )
        exam.criterion(
            "at most 3 MB of memory",
            peak <= MEMORY,
            "it is" if peak <= MEMORY else f"{peak / 1e6:.1f} MB",
        )
        rests = migrated == "it does"
        exam.criterion(
            "while the receiver rests, a migration goes through",
            rests,
            migrated or "it sent one batch only",
        )
        exam.criterion(
            "afterwards the connections are in the pool",
            pool.get_idle_size() == pool.get_size(),
            f"idle: {pool.get_idle_size()} of 2",
        )
        if peak > MEMORY:
            exam.trap("all at once")
        elif migrated and not rests:
            exam.trap("open")
        elif at_the_edge and (missing or twice or not one_moment):
            exam.trap("moments")
        elif at_the_edge:
            with folder_for_files() as folder:
                await breaks_off(exam, look, pool, folder)
                await exports_again(exam, look, pool)
        pool.terminate()


def _received(
    exam: Examination, outcome: Outcome, receiver: Receiver, missing: int, twice: int
) -> bool:
    """Whether so much has come, in such a form, that there is a point in looking at the rest."""
    exam.criterion(
        "every order that was there is sent, and none twice",
        outcome.returned and not missing and not twice,
        ("" if outcome.returned else f"{outcome}; ") + f"missing: {missing}, twice: {twice}",
    )
    exam.criterion(
        "in lists of at most 500 tuples (id, total_cents, basket), by id",
        not receiver.wrong and 0 < receiver.longest <= 500,
        receiver.wrong or f"the longest has {receiver.longest}",
    )
    return outcome.returned and bool(receiver.batches) and not receiver.wrong


async def _memory(exam: Examination, pool: Any, receiver: Receiver) -> tuple[Outcome, int]:
    """What came of the export, and the bytes that it took at most."""
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        at_first = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        outcome = await exam.run(pool, receiver, limit=LIMIT)
        return outcome, tracemalloc.get_traced_memory()[1] - at_first
    finally:
        if not was_tracing:
            tracemalloc.stop()
