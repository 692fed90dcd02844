"""What was confirmed is there: an order, and a voucher that may be used already."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .locks import end_who_waits, waits_for_a_lock

TITLE = "what was confirmed is there"

HINTS = (
    "What does PostgreSQL answer to the COMMIT at the end of the block, after the error was "
    "caught? timeline.race shows it.",
    "The first error of PostgreSQL aborts the whole transaction, wherever Python catches it. "
    "Either avoid the error, or roll back only a part of the transaction. Looking first does not "
    "help: somebody may redeem the code in between.",
    "`insert … on conflict (code) do nothing` raises no error for a code that is there, and its "
    'status, "INSERT 0 1" or "INSERT 0 0", says which it was. Other errors leave the block.',
)

TRAPS = {
    "goes on": "An order was confirmed and is not there: an error of PostgreSQL was caught inside "
    "the block, and PostgreSQL answered COMMIT with ROLLBACK.",
    "aborted block": "InFailedSQLTransactionError: after the first error of PostgreSQL inside the "
    "block, the transaction accepts no further statement.",
    "no transaction": "The voucher was refused, and its order stayed: either the two are no longer "
    'one transaction, or an error that does not say "used already" was caught as well.',
    "asks first": "Somebody else redeemed the code after it was looked up and before it was "
    "inserted.",
}

VOUCHERS = """
    create table redeemed (
        code text primary key check (code ~ '^[A-Z]+-[0-9]+$'),
        order_id int not null references orders)"""

REDEEM = "insert into redeemed values ($1, (select min(id) from orders))"
USED = "select count(*) > 0 from redeemed where code = $1"
STORED = "select customer_id, total_cents from orders where id = $1"
# The next number is one that an order has already: another duplicate than that of a code.
TAKEN = "select setval(pg_get_serial_sequence('orders', 'id'), max(id), false) from orders"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        other = await asyncpg.connect(stack.postgres.dsn())
        await other.execute(VOUCHERS)

        async def orders() -> Any:
            return await look.fetchval("select count(*) from orders")

        async def judged(
            outcome: Outcome, customer: int, cents: int, code: str, redeemed: bool
        ) -> tuple[bool, str]:
            if not (
                isinstance(outcome.value, tuple)
                and len(outcome.value) == 2
                and isinstance(outcome.value[0], int)
            ):
                return False, str(outcome)
            number, answer = outcome.value
            order = await look.fetchrow(STORED, number)
            has_it = await look.fetchval(f"{USED} and order_id = $2", code, number)
            if order is None:
                return False, f"{outcome}, and there is no such order"
            if tuple(order) != (customer, cents):
                return False, f"{outcome}, with customer and cents {tuple(order)}"
            return answer is redeemed is has_it, str(outcome)

        new = await exam.run(conn, 7, 4200, "GALA-1")
        exam.criterion(
            "a new voucher: the order is there, the voucher is redeemed",
            *await judged(new, 7, 4200, "GALA-1", True),
        )
        before = await orders()
        used = await exam.run(conn, 8, 3900, "GALA-1")
        lost = used.returned and await orders() == before
        exam.criterion(
            "a voucher that was used: the order is there, (number, False) comes back",
            *await judged(used, 8, 3900, "GALA-1", False),
        )
        before = await orders()
        nonsense = await exam.run(conn, 9, 4200, "no voucher")
        kept = await orders() - before
        exam.criterion(
            "a code that PostgreSQL refuses: its CheckViolationError arrives",
            isinstance(nonsense.error, asyncpg.CheckViolationError),
            str(nonsense),
        )
        exam.criterion("and no order is left", kept == 0, f"{kept} left")
        before = await orders()
        nobody = await exam.run(conn, 9999, 4200, "GALA-2")
        left = await look.fetchval(USED, "GALA-2")
        exam.criterion(
            "a customer who does not exist: that error arrives, and the voucher can still be used",
            isinstance(nobody.error, asyncpg.ForeignKeyViolationError)
            and not left
            and await orders() == before,
            f"{nobody}, {'the voucher is gone' if left else 'the voucher is free'}",
        )
        await look.execute(TAKEN)
        before = await orders()
        duplicate = await exam.run(conn, 9, 4200, "GALA-3")
        exam.criterion(
            "the order's own number is a duplicate: that error arrives, nothing is left",
            isinstance(duplicate.error, asyncpg.UniqueViolationError)
            and await orders() == before
            and not await look.fetchval(USED, "GALA-3"),
            str(duplicate),
        )

        await other.execute("begin")
        await other.execute(REDEEM, "GALA-4")
        second = exam.start(conn, 7, 4200, "GALA-5")
        waited = await waits_for_a_lock(stack, second)
        await other.execute("commit")
        apart = await second
        exam.criterion(
            "somebody redeems another code at that moment: this order does not wait for it",
            *(
                (False, "it waited for a lock")
                if waited
                else await judged(apart, 7, 4200, "GALA-5", True)
            ),
        )
        outcomes = []
        for ending, code in (("commit", "GALA-6"), ("rollback", "GALA-7")):
            await other.execute("begin")
            await other.execute(REDEEM, code)
            racing = exam.start(conn, 7, 4200, code)
            await waits_for_a_lock(stack, racing)
            early = racing.done()
            await other.execute(ending)
            outcomes.append(await racing)
            gives_up = ending == "rollback"
            right, measured = await judged(outcomes[-1], 7, 4200, code, gives_up)
            exam.criterion(
                "and gives up at the last moment: the voucher is redeemed for this order"
                if gives_up
                else "somebody else redeems it at the same moment: the order is there, (number, "
                "False) comes back",
                right,
                f"{measured}{', before the other one had ended' if early else ''}",
            )
        raced = outcomes[0]

        before = await orders()
        around = conn.transaction()
        await around.start()
        outcome = await exam.run(conn, 7, 4200, "GALA-8")
        still = conn.is_in_transaction()
        if still:
            await around.rollback()
        gone = await orders() == before and not await look.fetchval(USED, "GALA-8")
        exam.criterion(
            "in a transaction of the caller's, who rolls it back: nothing is left",
            outcome.returned and still and gone,
            str(outcome)
            + ("" if still else ", the caller's transaction has ended")
            + ("" if gone else ", and the order is there"),
        )
        exam.criterion(
            "the connection is in no transaction",
            not conn.is_closed() and not conn.is_in_transaction(),
            "closed"
            if conn.is_closed()
            else "in a transaction"
            if conn.is_in_transaction()
            else "in none",
        )
        before = await orders()
        await other.execute("begin")
        await other.execute(REDEEM, "GALA-9")
        breaking = exam.start(conn, 7, 4200, "GALA-9")
        await waits_for_a_lock(stack, breaking)
        await end_who_waits(look)
        await other.execute("rollback")
        broken, kept_then = await breaking, await orders() - before
        exam.criterion(
            "its connection breaks while it waits for the code: the error arrives, no order stays",
            broken.error is not None and not kept_then,
            f"{broken}, {kept_then} orders left",
        )
        conn.terminate()
    if lost:
        exam.trap("goes on")
    elif isinstance(used.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted block")
    elif kept:
        exam.trap("no transaction")
    elif not used.error and isinstance(
        raced.error, asyncpg.UniqueViolationError | asyncpg.InFailedSQLTransactionError
    ):
        exam.trap("asks first")
