"""What was confirmed is there: an order, and a voucher that may be used already."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .locks import waits_for_a_lock

TITLE = "what was confirmed is there"

HINTS = (
    "What does PostgreSQL answer to the COMMIT at the end of the block, after the error was "
    "caught? timeline.race shows it.",
    "The first error aborts the whole transaction, whoever catches it in Python. Either the error "
    "does not come about, or only a part of the transaction is rolled back. To look first does "
    "not help: somebody may redeem it in between.",
    "`insert … on conflict (code) do nothing` raises no error for a code that is there, and its "
    'status, "INSERT 0 1" or "INSERT 0 0", says which it was. Other errors leave the block.',
)

TRAPS = {
    "goes on": "An order was confirmed and is not there: an error of PostgreSQL was caught inside "
    "of the block, and COMMIT was answered by ROLLBACK.",
    "aborted block": "InFailedSQLTransactionError: after the first error inside of the block, the "
    "transaction takes no further statement.",
    "no transaction": "The voucher was refused, and its order stayed: the two are no longer one "
    'transaction, or an error that does not say "used already" was caught as well.',
    "asks first": "Between the question whether the code is used and the insert somebody else has "
    "redeemed it.",
}

VOUCHERS = """
    create table redeemed (
        code text primary key check (code ~ '^[A-Z]+-[0-9]+$'),
        order_id int not null references orders)"""

REDEEM = "insert into redeemed values ($1, (select min(id) from orders))"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn())
        conn = await asyncpg.connect(stack.postgres.dsn())
        await look.execute(VOUCHERS)

        async def orders() -> Any:
            return await look.fetchval("select count(*) from orders")

        async def is_right(outcome: Outcome, code: str, redeemed: bool) -> bool:
            if not (
                isinstance(outcome.value, tuple)
                and len(outcome.value) == 2
                and isinstance(outcome.value[0], int)
            ):
                return False
            number, answer = outcome.value
            there = await look.fetchval("select exists (select from orders where id = $1)", number)
            has_it = await look.fetchval(
                "select exists (select from redeemed where code = $1 and order_id = $2)",
                code,
                number,
            )
            return there and answer is redeemed is has_it

        new = await exam.run(conn, 7, 4200, "GALA-1")
        exam.criterion(
            "a new voucher: the order is there, the voucher is redeemed",
            await is_right(new, "GALA-1", True),
            str(new),
        )
        before = await orders()
        used = await exam.run(conn, 8, 4200, "GALA-1")
        lost = used.returned and await orders() == before
        exam.criterion(
            "a voucher that was used: the order is there, (number, False) comes back",
            await is_right(used, "GALA-1", False),
            str(used) + (", and there is no such order" if lost else ""),
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
        left = await look.fetchval("select count(*) from redeemed where code = 'GALA-2'")
        exam.criterion(
            "a customer who does not exist: that error arrives, and the voucher can still be used",
            isinstance(nobody.error, asyncpg.ForeignKeyViolationError)
            and not left
            and await orders() == before,
            f"{nobody}, {'the voucher is gone' if left else 'the voucher is free'}",
        )
        other = await asyncpg.connect(stack.postgres.dsn())
        await other.execute("begin")
        await other.execute(REDEEM, "GALA-3")
        racing = exam.start(conn, 7, 4200, "GALA-3")
        await waits_for_a_lock(stack, racing)
        await other.execute("commit")
        raced = await racing
        exam.criterion(
            "somebody else redeems it at the same moment: the order is there, (number, False) "
            "comes back",
            await is_right(raced, "GALA-3", False),
            str(raced),
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
