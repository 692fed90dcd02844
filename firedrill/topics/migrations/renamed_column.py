"""Exercise 12: migrations while the shop sells."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers
from ...expect import public_name
from ...servers.server import SUPERUSER, Server
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "12_migrations"
OPEN = 1.5  # seconds for which the report's transaction is open once the migration has begun
PATIENCE = OPEN / 2  # seconds that a customer's request may take
LIMIT = 10.0  # seconds for a migration

Request = Callable[[Any, int], Awaitable[object]]


class Load:
    """Customers' requests, again and again, each customer on a connection of its own."""

    def __init__(self) -> None:
        self.answered = 0
        self._asked_for = 0
        self.longest = 0.0  # seconds
        self.errors: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._customers: list[asyncio.Task[None]] = []

    async def start(self, postgres: Server, request: Request, customers: int = 4) -> None:
        connections = [await asyncpg.connect(postgres.dsn()) for _ in range(customers)]
        self._customers = [
            asyncio.create_task(self._customer(request, conn, number))
            for number, conn in enumerate(connections)
        ]
        await self.more(customers * 5)

    async def _customer(self, request: Request, conn: Any, number: int) -> None:
        while not self._ended.is_set():
            begun = time.perf_counter()
            try:
                await request(conn, number)
                self.answered += 1
            except Exception as error:
                self.errors[public_name(type(error))] += 1
                if conn.is_closed():
                    return
            self.longest = max(self.longest, time.perf_counter() - begun)
            await asyncio.sleep(0.02)  # a customer reads, and the migration has the processor

    async def more(self, requests: int) -> None:
        """Wait until there were so many more, or none can come any more."""
        self._asked_for += requests
        enough = self.answered + self.errors.total() + requests
        while self.answered + self.errors.total() < enough and not all(
            one.done() for one in self._customers
        ):
            await asyncio.sleep(0.005)

    async def end(self) -> None:
        self._ended.set()
        await asyncio.wait(self._customers)

    def describe(self, exam: Examination, whose: str = "a customer") -> None:
        failed = ", ".join(f"{count} x {name}" for name, count in self.errors.most_common(3))
        total = self.answered + self.errors.total()
        exam.criterion(
            f"no request of {whose} failed",
            not self.errors,
            f"of {total}: {failed}" if failed else f"0 of {min(total, self._asked_for)} or more",
        )

    def describe_time(self, exam: Examination, *others: Load) -> None:
        slow = max(self.longest, *(one.longest for one in others), 0) >= PATIENCE
        exam.criterion(
            f"no request took longer than {PATIENCE:g} s",
            not slow,
            "the longest took longer" if slow else "all were answered in time",
        )


@contextlib.asynccontextmanager
async def _report(postgres: Server, query: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """A transaction that stays open for OPEN seconds. Gives a function that waits for its end: whether it was let go on."""
    conn = await asyncpg.connect(postgres.dsn())
    await conn.execute(f"begin isolation level repeatable read; {query}")

    async def work() -> bool:
        await asyncio.sleep(OPEN)
        try:
            await conn.execute("commit")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return False
        return True

    task = asyncio.create_task(work())

    async def ended() -> bool:
        return await task

    try:
        yield ended
    finally:
        await asyncio.wait({task})
        conn.terminate()


async def _beside(
    exam: Examination, postgres: Server, request: Request, query: str, whose: str
) -> tuple[Outcome, bool]:
    """The migration beside customers and `whose` transaction, which begins with `query`.

    Gives what came of it, and whether customers stood in line.
    """
    load = Load()
    await load.start(postgres, request)
    conn = await asyncpg.connect(postgres.dsn())
    async with _report(postgres, query) as ended:
        outcome = await exam.run(conn, limit=LIMIT)
        went_on = await ended()
    left = (
        None
        if conn.is_closed() or conn.is_in_transaction()
        else await conn.fetchval("show lock_timeout")
    )
    await load.more(20)
    await load.end()
    exam.criterion(
        "the migration came to its end",
        outcome.returned,
        "without an error" if outcome.returned else str(outcome),
    )
    load.describe(exam)
    load.describe_time(exam)
    exam.criterion(
        f"{whose} came to its end", went_on, "undisturbed" if went_on else "somebody ended it"
    )
    if outcome.returned:
        exam.criterion(
            "the connection is as it was: no lock_timeout is left on it",
            left in (None, "0"),
            f"lock_timeout is {left}",
        )
    if not went_on:
        exam.trap("killed")
    if isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted")
    return outcome, load.longest >= PATIENCE and went_on


# Task 1: a column


async def _look_at_the_seats(conn: Any, _: int) -> None:
    await conn.fetch("select label, status from seats where event_id = 5")


async def _column(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        outcome, queue = await _beside(
            exam,
            stack.postgres,
            _look_at_the_seats,
            "select sum(price_cents) from seats",
            "the report",
        )
        column = await look.fetchrow("""
            select is_nullable, column_default from information_schema.columns
            where table_name = 'seats' and column_name = 'zone'""")
        rows = column and await look.fetchval("select count(*) from seats where zone = 'stalls'")
        exam.criterion(
            "seats.zone is there: NOT NULL, default 'stalls', in all rows",
            column is not None
            and column["is_nullable"] == "NO"
            and "stalls" in (column["column_default"] or "")
            and rows == 500,
            "it is not there"
            if column is None
            else f"nullable: {column['is_nullable'].lower()}, default: {column['column_default']}, in {rows} rows",
        )
        if queue:
            exam.trap("queue")
        elif isinstance(
            outcome.error, asyncpg.LockNotAvailableError | asyncpg.QueryCanceledError | TimeoutError
        ):
            exam.trap("gave up")
        elif outcome.returned and column is None:
            exam.trap("silent")


# Task 2: an index

WITHOUT = """
    create table ddl_locks (mode text);
    create function note_locks() returns event_trigger language plpgsql security definer as $$ begin
        insert into ddl_locks select mode from pg_locks
        where pid = pg_backend_pid() and granted and relation = 'orders'::regclass
            and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
    end $$"""
NOTE = "create event trigger note_locks on ddl_command_end when tag in ('CREATE INDEX', 'REINDEX') execute function note_locks()"
INDEX = """select indisvalid, pg_get_indexdef(indexrelid) as definition from pg_index
           where indexrelid = to_regclass('orders_placed_at')"""


async def _order(conn: Any, number: int) -> None:
    await conn.execute("update orders set total_cents = total_cents where id = $1", 1 + number)


async def _last_nights_attempt(postgres: Server) -> None:
    """A CREATE INDEX CONCURRENTLY that was ended leaves an index that is not valid."""
    before, migration = [await asyncpg.connect(postgres.dsn()) for _ in range(2)]
    await before.execute("begin isolation level repeatable read; select 1 from orders")
    await migration.execute("set lock_timeout = '50ms'")
    with contextlib.suppress(asyncpg.LockNotAvailableError):
        await migration.execute("create index concurrently orders_placed_at on orders (placed_at)")
    await before.close()
    await migration.close()


async def _index(exam: Examination) -> None:
    with servers.open() as stack:
        await _last_nights_attempt(stack.postgres)
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        await look.execute(WITHOUT)
        await look.execute(NOTE)
        outcome, queue = await _beside(
            exam,
            stack.postgres,
            _order,
            "update orders set basket = basket where id = 90",
            "the other transaction",
        )
        index = await look.fetchrow(INDEX)
        right = index is not None and "orders USING btree (placed_at)" in index["definition"]
        exam.criterion(
            "orders has the index orders_placed_at, on placed_at",
            right,
            "there is none" if index is None else index["definition"],
        )
        if right:
            exam.criterion(
                "PostgreSQL can use it: it is valid",
                index["indisvalid"],
                "valid" if index["indisvalid"] else "not valid",
            )
        blocked = await look.fetchval("select count(*) from ddl_locks")
        exam.criterion(
            "orders could be written while the index was built",
            not blocked,
            "the migration held a lock against it" if blocked else "no lock against it was held",
        )
        left = await look.fetchval(
            "select count(*) from pg_index where indrelid = 'orders'::regclass and not indisvalid"
        )
        if right and index["indisvalid"]:
            exam.criterion("no broken index is left", not left, f"{left} left")
        if isinstance(outcome.error, asyncpg.ActiveSQLTransactionError):
            exam.trap("transaction")
        elif isinstance(outcome.error, asyncpg.LockNotAvailableError):
            exam.trap("gave up")
        elif blocked:
            exam.trap("writers")
        elif queue:
            exam.trap("queue")
        elif outcome.returned and right and not index["indisvalid"]:
            exam.trap("invalid")


# Task 3: a column gets another name

THINGS = """
    select (select count(*) from pg_trigger where not tgisinternal)
        + (select count(*) from pg_proc where pronamespace = 'public'::regnamespace)
        + (select count(*) from pg_constraint where conrelid = 'payments'::regclass and contype = 'c')"""

UNCORRECTED = "the amount of before its correction"


class Version:
    """Of the application: it knows the column by one name, writes and corrects payments, and reads those of both versions."""

    def __init__(
        self, column: str, written: dict[int, tuple[int, ...]], wrong: Counter[str]
    ) -> None:
        self.column, self.wrong = column, wrong
        self.written = written  # by the payment's id the amounts that it may have now: two while it is being corrected
        self.load = Load()

    async def request(self, conn: Any, number: int) -> None:
        amount = 1000 + 2 * len(self.written)
        payment = await conn.fetchval(
            f"insert into payments (order_id, {self.column}, method) values ($1, $2, 'card') "
            "returning id",
            1 + number,
            amount,
        )
        self.written[payment] = amount, amount + 1
        await conn.execute(
            f"update payments set {self.column} = $2 where id = $1", payment, amount + 1
        )
        self.written[payment] = (amount + 1,)
        for one in {payment, *[*self.written][-4:]}:
            before = self.written[one]
            found = await conn.fetchval(f"select {self.column} from payments where id = $1", one)
            if found not in before + self.written[one]:
                uncorrected = found == self.written[one][-1] - 1
                self.wrong[
                    "no amount"
                    if found is None
                    else UNCORRECTED
                    if uncorrected
                    else "another amount"
                ] += 1


async def _rename(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        paid = await look.fetchval("select sum(amount_cents) from payments")
        written: dict[int, tuple[int, ...]] = {}
        things = await look.fetchval(THINGS)
        last = await look.fetchval("select max(id) from payments")
        wrong: Counter[str] = Counter()
        old, new = Version("amount_cents", written, wrong), Version("paid_cents", written, wrong)
        deployed: list[str] = []

        async def deploy() -> None:
            if deployed:
                raise RuntimeError("deploy() was called twice")
            deployed.append("begun")
            await new.load.start(stack.postgres, new.request)
            await asyncio.gather(old.load.more(40), new.load.more(40))
            await old.load.end()
            await new.load.more(20)
            deployed.append("done")

        await old.load.start(stack.postgres, old.request)
        conn = await asyncpg.connect(stack.postgres.dsn())
        outcome = await exam.run(conn, deploy, limit=LIMIT)
        await (new if deployed else old).load.more(20)
        await old.load.end()
        if deployed:
            await new.load.end()
        exam.criterion(
            "the migration came to its end",
            outcome.returned,
            str(outcome) if not outcome.returned else "without an error",
        )
        exam.criterion(
            "the new version was deployed",
            len(deployed) == 2,
            "deploy() was awaited"
            if len(deployed) == 2
            else "deploy() did not come to its end"
            if deployed
            else "deploy() was not called",
        )
        old.load.describe(exam, "the old version")
        new.load.describe(exam, "the new version")
        exam.criterion(
            "whatever one version writes, both read",
            not wrong,
            ", ".join(f"{count} x {what}" for what, count in wrong.items()) or "the same amounts",
        )
        old.load.describe_time(exam, new.load)
        columns = {
            row["column_name"]: row["is_nullable"]
            for row in await look.fetch(
                "select column_name, is_nullable from information_schema.columns where table_name = 'payments'"
            )
        }
        there = "paid_cents" in columns and "amount_cents" not in columns
        exam.criterion(
            "payments has paid_cents, and amount_cents no more", there, ", ".join(sorted(columns))
        )
        if there:
            expected = paid + sum(amounts[-1] for amounts in written.values())
            total = await look.fetchval("select sum(paid_cents) from payments")
            exam.criterion(
                "not a cent is lost",
                total == expected,
                "all there"
                if total == expected
                else f"{abs(expected - (total or 0))} cents are missing or too many",
            )
            empty = await look.fetchval(
                "select count(*) from payments where paid_cents is null and id <= $1", last
            )
            exam.criterion(
                "paid_cents is NOT NULL, as amount_cents was",
                columns["paid_cents"] == "NO",
                "NOT NULL" if columns["paid_cents"] == "NO" else "it may be NULL",
            )
            checked = await look.fetchval(
                "select count(*) from pg_constraint where conrelid = 'payments'::regclass "
                "and pg_get_constraintdef(oid) ~ 'paid_cents > 0' and convalidated"
            )
            exam.criterion(
                "and it has the CHECK (… > 0) that amount_cents had",
                checked == 1,
                "valid" if checked else "there is none",
            )
        left = await look.fetchval(THINGS)
        if there:
            exam.criterion(
                "nothing else is left of the migration: trigger, function, constraint",
                left <= things,
                "nothing" if left <= things else f"{left - things} left",
            )
        traps = (
            ("unfilled", there and bool(empty) and not wrong),
            ("copied", there and total != expected),
        )
        _rename_traps(
            exam, old, new, wrong, outcome, [name for name, fallen in traps if fallen][:1]
        )
        if outcome.returned and not deployed and not old.load.errors:
            exam.trap("not deployed")


def _rename_traps(
    exam: Examination,
    old: Version,
    new: Version,
    wrong: Counter[str],
    outcome: Outcome,
    lost: list[str],
) -> None:
    unknown = public_name(asyncpg.UndefinedColumnError)
    refused = public_name(asyncpg.NotNullViolationError)
    if old.load.errors[unknown]:
        exam.trap("at once")
    elif new.load.errors[unknown]:
        exam.trap("too late")
    elif old.load.errors[refused] or new.load.errors[refused]:
        exam.trap("refused")
    elif isinstance(outcome.error, asyncpg.NotNullViolationError | asyncpg.CheckViolationError):
        exam.trap("copied")
    elif lost == ["unfilled"]:
        exam.trap("unfilled")
    elif wrong:
        exam.trap("updates" if set(wrong) == {UNCORRECTED} else "apart")
    elif lost:
        exam.trap("copied")


DRILL = Drill(
    NAME,
    "Exercise 12: migrations while the shop sells",
    (
        Task(
            1,
            "a column, beside a report",
            _column,
            drill=NAME,
            hints=(
                "Run the check as it is, with a print of `await views.locks(...)` in mind: who waits for whom?",
                "An ALTER TABLE that waits for its lock makes everybody wait who comes after it. It must not wait for long, and may "
                "come again.",
                "`set local lock_timeout = '50ms'` and the ALTER in one transaction; on LockNotAvailableError a pause, then both "
                "again in a new transaction, until it succeeds or a deadline is over.",
            ),
            traps={
                "queue": "The migration waited for the report, and every customer waited behind the migration.",
                "gave up": "The first time the lock was not there, the migration gave up. The report ends by itself; try again.",
                "aborted": "After an error the transaction takes no statement until it is rolled back. Each try needs one of its own.",
                "killed": "The report was ended to make room. Its work is lost, and the next one begins tomorrow at the same time.",
                "silent": "It said that all is well, and the column is not there.",
            },
        ),
        Task(
            2,
            "an index, the second time",
            _index,
            drill=NAME,
            hints=(
                "Look at what last night left: `\\d orders` in psql, or pg_index.indisvalid.",
                "CREATE INDEX CONCURRENTLY waits for transactions that are older, and disturbs nobody while it waits. What does IF NOT "
                "EXISTS say to an index that is not valid? What does a lock_timeout do to one that is being built?",
                "`drop index concurrently if exists orders_placed_at`, then `create index concurrently orders_placed_at on orders "
                "(placed_at)`, both outside of a transaction, with no lock_timeout. Or `reindex index concurrently`.",
            ),
            traps={
                "queue": "Customers waited behind the migration, which waited behind a transaction that writes or reads orders.",
                "writers": "While an index is built without CONCURRENTLY, or a table is locked, nobody can write to it. Here that was "
                "short; orders has 97 rows.",
                "invalid": "There is an index of that name, and PostgreSQL does not use it: it is not valid. IF NOT EXISTS asks for the "
                "name only.",
                "transaction": "CREATE and DROP INDEX CONCURRENTLY are several transactions, and cannot be part of one. Several "
                "statements in one execute() are one, too.",
                "aborted": "After an error the transaction takes no statement until it is rolled back.",
                "gave up": "A lock_timeout also ends the waiting for older transactions, which harms nobody, and leaves an index that is "
                "not valid.",
                "killed": "Somebody's transaction was ended to make room, and what it had written is lost.",
            },
        ),
        Task(
            3,
            "a column gets another name",
            _rename,
            drill=NAME,
            hints=(
                "Write down which statements the old version sends, which the new one, and when both do so.",
                "While both run, both columns have to be there, and each write to one has to reach the other. Expand, deploy, contract.",
                "Add paid_cents with its CHECK; a BEFORE INSERT OR UPDATE trigger that gives both columns the amount that was written, "
                "for an update the one that was changed; fill the old rows; SET NOT NULL; `await deploy()`; then drop trigger, "
                "function, and amount_cents.",
            ),
            traps={
                "at once": "The old version was still running when its column was gone.",
                "too late": "The new version was started before its column was there.",
                "refused": "One version's rows were refused: a column that it does not know may not be NULL.",
                "apart": "Both columns are there, and each version sees what it wrote itself only.",
                "copied": "Payments are missing in the new column: they were written between the copying and what keeps the two alike.",
                "updates": "A payment was corrected under one name and not under the other. Which of the two did an UPDATE change?",
                "unfilled": "The payments of before have no amount in the new column: nothing has filled it.",
                "not deployed": "All is as before: the new version was never started. The migration has to call deploy().",
            },
        ),
    ),
)
