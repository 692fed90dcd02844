"""Exercise 08: an order that succeeds and is not there, the last seat for fifty buyers, and a retry that does nothing twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg

from ... import servers, views, wire
from ...servers.stack import Stack
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "08_transactions"


# Task 1: what was confirmed is there

VOUCHERS = """
    create table redeemed (
        code text primary key check (code ~ '^[A-Z]+-[0-9]+$'),
        order_id int not null references orders)"""
REDEEM = "insert into redeemed values ($1, (select min(id) from orders))"


async def _orders(exam: Examination) -> None:
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
            _order(new),
        )
        before = await orders()
        used = await exam.run(conn, 8, 4200, "GALA-1")
        lost = used.returned and await orders() == before
        exam.criterion(
            "a voucher that was used: the order is there, (number, False) comes back",
            await is_right(used, "GALA-1", False),
            _order(used) + (", and there is no such order" if lost else ""),
        )
        before = await orders()
        nonsense = await exam.run(conn, 9, 4200, "no voucher")
        kept = await orders() - before
        exam.criterion(
            "a code that PostgreSQL refuses: its CheckViolationError arrives",
            isinstance(nonsense.error, asyncpg.CheckViolationError),
            _order(nonsense),
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
            f"{_order(nobody)}, {'the voucher is gone' if left else 'the voucher is free'}",
        )
        other = await asyncpg.connect(stack.postgres.dsn())
        await other.execute("begin")
        await other.execute(REDEEM, "GALA-3")
        racing = asyncio.ensure_future(exam.run(conn, 7, 4200, "GALA-3"))
        await _until_waiting(stack, racing)
        await other.execute("commit")
        raced = await racing
        exam.criterion(
            "somebody else redeems it at the same moment: the order is there, (number, False) comes back",
            await is_right(raced, "GALA-3", False),
            _order(raced),
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


def _order(outcome: Outcome) -> str:
    return f"{outcome.value!r:.60} came back" if outcome.returned else str(outcome)


# Task 2: the last seat

BUYERS, TIMES = 50, 20


async def _last_seat(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn())
        seats = [
            row["id"]
            for row in await look.fetch("select id from seats where status = 'free' order by id")
        ]
        sold: list[int] = []

        async def is_right(seat: int, outcomes: list[Outcome]) -> bool:
            """The seat, its orders and its money belong together, and so does what the buyers were told."""
            sold.append(
                await look.fetchval(
                    "select count(*) from orders where basket ->> 'seat' = $1::text", str(seat)
                )
            )
            books = await look.fetchrow(
                """
                select count(distinct o.id) as orders, count(p.id) as payments, coalesce(sum(p.amount_cents), 0) as money,
                       min(o.id) as number, s.price_cents, s.status
                from seats s left join orders o on o.basket ->> 'seat' = s.id::text left join payments p on p.order_id = o.id
                where s.id = $1 group by s.id""",
                seat,
            )
            told = [one.value for one in outcomes if one.value is not None]
            return (
                books["orders"] == books["payments"] == 1
                and books["money"] == books["price_cents"]
                and books["status"] == "sold"
                and told == [books["number"]]
                and all(one.returned for one in outcomes)
            )

        errors: list[BaseException] = []
        rush: dict[str, list[int]] = {}
        for level, times in (
            ("read committed", TIMES),
            ("repeatable read", 3),
            ("serializable", 3),
        ):
            pool = await asyncpg.create_pool(
                stack.postgres.dsn(),
                min_size=10,
                max_size=10,
                server_settings={"default_transaction_isolation": level},
            )
            right = 0
            for _ in range(times):
                seat = seats.pop()
                outcomes = await asyncio.gather(
                    *(exam.run(pool, seat, 1 + number, limit=10) for number in range(BUYERS))
                )
                right += await is_right(seat, outcomes)
                errors += [one.error for one in outcomes if one.error]
                if any(one.hung for one in outcomes) or right < len(rush.setdefault(level, [])):
                    break
                rush[level].append(right)
            exam.criterion(
                f"{BUYERS} buyers, one seat, {level} by default: sold and paid once, the others get None",
                right == times,
                f"{right} of {times} times"
                if right == times
                else f"not so: {_sales(max(sold[-times:]))}, {len(errors)} errors so far",
            )
            pool.terminate()
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=4, max_size=4)
        other = await asyncpg.connect(stack.postgres.dsn())

        seat, neighbour = seats.pop(), seats.pop()
        await other.execute(f"begin; update seats set status = 'held' where id = {neighbour}")
        waiting = asyncio.ensure_future(exam.run(pool, neighbour, 8, limit=8))
        await _until_waiting(stack, waiting)
        beside = await exam.run(pool, seat, 7, limit=3)
        await other.execute("rollback")
        await waiting
        exam.criterion(
            "a sale of the seat beside it waits for the box office: this one waits for neither",
            await is_right(seat, [beside]),
            str(beside) if not beside.returned else "sold" if beside.value else "None came back",
        )

        seat = seats.pop()
        nobody = await exam.run(pool, seat, 9999)
        after = await look.fetchval("select status from seats where id = $1", seat)
        exam.criterion(
            "a customer who does not exist: the error arrives, and the seat is free",
            isinstance(nobody.error, asyncpg.ForeignKeyViolationError) and after == "free",
            f"{_order(nobody)}, the seat is {after}",
        )

        seat = seats.pop()
        await other.execute(f"begin; update seats set status = 'sold' where id = {seat}")
        racing = asyncio.ensure_future(exam.run(pool, seat, 7, limit=8))
        await _until_waiting(stack, racing)
        await other.execute("commit")
        late = await racing
        twice = await look.fetchval(
            "select count(*) from orders where basket ->> 'seat' = $1::text", str(seat)
        )
        exam.criterion(
            "the box office, another program, sells it at the same moment: None",
            late.returned and late.value is None and not twice,
            _order(late) + (", sold a second time" if twice else ""),
        )
        seat = seats.pop()
        await other.execute(f"begin; update seats set status = 'sold' where id = {seat}")
        racing = asyncio.ensure_future(exam.run(pool, seat, 7, limit=8))
        await _until_waiting(stack, racing)
        await other.execute("rollback")
        free_again = await racing
        exam.criterion(
            "the box office gives it back at the last moment: it is sold",
            await is_right(seat, [free_again]),
            _order(free_again),
        )

        seat = seats.pop()
        await other.execute(f"update seats set status = 'held' where id = {seat}")
        held = await exam.run(pool, seat, 7)
        exam.criterion(
            "somebody has it in a basket, it is held: None",
            held.returned and held.value is None,
            _order(held),
        )
        pool.terminate()
    if beside.hung:
        exam.trap("lock table")
    elif max(sold) <= 1 and twice:
        exam.trap("this process")
    elif max(sold) > 1:
        exam.trap("looks first")
    elif rush["read committed"] and any(
        isinstance(one, asyncpg.SerializationError) for one in errors
    ):
        exam.trap("level alone")
    elif max(sold) == 1 and free_again.returned and free_again.value is None:
        exam.trap("too early")


def _sales(times: int) -> str:
    return f"a seat was sold {times} times" if times != 1 else "sold once"


# Task 3: a retry that does nothing twice

ATTEMPTS = 5
PAY = "insert into payments (order_id, amount_cents, method) values ($1, $2, 'voucher')"
SLOW_COMMIT = """
    create function slow() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(8); return null; end';
    create constraint trigger slow_commit after insert on payments
    deferrable initially deferred for each row execute function slow()"""


class _Work:
    """What the helper is to do: pay order 1. How often it was called, and what goes wrong in it."""

    def __init__(self, other: Any, amount: int, wrong: str = "", times: int = 1) -> None:
        self.other, self.amount, self.wrong, self.times = other, amount, wrong, times
        self.calls = 0
        self.transactions: set[int] = set()

    async def __call__(self, conn: Any) -> str:
        self.calls += 1
        total = await conn.fetchval("select total_cents from orders where id = 1")
        await conn.execute(PAY, 1, self.amount)
        self.transactions.add(await conn.fetchval("select pg_current_xact_id()::text::int"))
        if self.calls <= self.times:
            await self._goes_wrong(conn, total)
        return f"paid {self.amount}"

    async def _goes_wrong(self, conn: Any, total: int) -> None:
        if self.wrong == "in a statement":
            await self.other.execute("update orders set total_cents = total_cents + 1 where id = 1")
            await conn.execute("update orders set total_cents = $1 where id = 1", total)
        elif (
            self.wrong == "at COMMIT"
        ):  # each has read what the other writes, and the other commits first
            async with self.other.transaction(isolation="serializable"):
                await self.other.fetchval(
                    "select count(*) from payments where amount_cents = $1", self.amount
                )
                await self.other.execute(
                    "update orders set total_cents = total_cents + 1 where id = 1"
                )
        elif self.wrong == "dead-lock":
            await conn.execute(
                "do $$ begin raise exception 'deadlock detected' using errcode = '40P01'; end $$"
            )
        elif self.wrong == "unique":
            await conn.execute(
                "insert into customers (id, email, name, joined_at) values (1, 'a@example.com', 'A', now())"
            )
        elif self.wrong == "python":
            raise LookupError("no such tariff")


async def _retry(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user="postgres"))
        other = await asyncpg.connect(stack.postgres.dsn())
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=2, max_size=2)
        amounts = iter(range(1_000_001, 1_000_100))

        async def run(wrong: str = "", times: int = 1) -> tuple[_Work, Outcome, int]:
            work = _Work(other, next(amounts), wrong, times)
            outcome = await exam.run(pool, work, limit=8)
            return (
                work,
                outcome,
                await look.fetchval(
                    "select count(*) from payments where amount_cents = $1", work.amount
                ),
            )

        def is_paid(work: _Work, outcome: Outcome, rows: int) -> bool:
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
) -> tuple[_Work, Outcome, int]:
    """COMMIT waits for a lock, the client loses its connection, then the server goes on."""
    await look.execute(SLOW_COMMIT)
    await look.execute("select pg_advisory_lock(8)")
    with wire.tap(stack, before="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        work = _Work(None, amount)
        running = asyncio.ensure_future(exam.run(pool, work, limit=8))
        await _until_waiting(stack, running)
        tap.reset()
        await asyncio.wait([running], timeout=1)
        await look.execute("select pg_advisory_unlock(8)")
        outcome = await running
        # All transactions that write payments have ended when this lock is given.
        await look.execute("begin; lock table payments in share mode; commit")
        pool.terminate()
    return (
        work,
        outcome,
        await look.fetchval("select count(*) from payments where amount_cents = $1", amount),
    )


def _paid(work: _Work, outcome: Outcome, rows: int) -> str:
    calls = "1 attempt" if work.calls == 1 else f"{work.calls} attempts"
    paid = ("never", "once", "twice")[rows] if rows < 3 else f"{rows} times"
    return f"{calls}, paid {paid}, {_order(outcome)}"


async def _until_waiting(stack: Stack, task: asyncio.Future[Any]) -> None:
    """Until somebody waits for a lock, or the task has ended without."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not task.done() and not await views.locks(stack.postgres):
        await asyncio.sleep(0.01)


DRILL = Drill(
    NAME,
    "Exercise 08: orders, seats and payments that belong together",
    (
        Task(
            1,
            "what was confirmed is there",
            _orders,
            drill=NAME,
            hints=(
                "What does PostgreSQL answer to the COMMIT at the end of the block, after the error was caught? timeline.race shows it.",
                "The first error aborts the whole transaction, whoever catches it in Python. Either the error does not come about, or "
                "only a part of the transaction is rolled back. To look first does not help: somebody may redeem it in between.",
                '`insert … on conflict (code) do nothing` raises no error for a code that is there, and its status, "INSERT 0 1" or '
                '"INSERT 0 0", says which it was. Other errors leave the block.',
            ),
            traps={
                "goes on": "An order was confirmed and is not there: an error of PostgreSQL was caught inside of the block, and COMMIT "
                "was answered by ROLLBACK.",
                "aborted block": "InFailedSQLTransactionError: after the first error inside of the block, the transaction takes no "
                "further statement.",
                "no transaction": "The voucher was refused, and its order stayed: the two are no longer one transaction, or an error "
                'that does not say "used already" was caught as well.',
                "asks first": "Between the question whether the code is used and the insert somebody else has redeemed it.",
            },
        ),
        Task(
            2,
            "the last seat",
            _last_seat,
            drill=NAME,
            hints=(
                "How many transactions can have read `free` before the first of them commits?",
                "Reading and deciding has to happen while nobody else can change the seat: the row has to be locked before, or by, the "
                "decision. What waits for a row lock at Read Committed looks at the row anew; at the higher levels it gets 40001.",
                "`update seats set status = 'sold' where id = $1 and status = 'free' returning price_cents` decides and locks in one "
                'statement. The level that this relies on can stand in the code: conn.transaction(isolation="read_committed").',
            ),
            traps={
                "looks first": "A seat was sold more than once: several buyers had read that it is free before the first of them wrote.",
                "this process": "Another program has sold the seat at the same moment, and yours sold it again: a lock that it does not "
                "take excludes nobody outside.",
                "too early": "A customer was told no while another sale was under way, and that one was given up: the seat is free.",
                "lock table": "Somebody was buying another seat, and this sale waited for that: the lock is larger than the seat.",
                "level alone": "Nothing was oversold, and buyers got SerializationError in place of an answer.",
            },
        ),
        Task(
            3,
            "a retry that does nothing twice",
            _retry,
            drill=NAME,
            hints=(
                "In which transaction does the second attempt run? And which statement of all can fail without being written in `work`?",
                "An aborted transaction takes nothing more, so each attempt needs one of its own. COMMIT may raise 40001 as well, and it "
                "is sent when the block is left. Most errors are the same at the next attempt; after a broken connection nobody knows "
                "whether it was committed.",
                'A loop of five; in it `try`, in that `async with pool.acquire() as conn, conn.transaction(isolation="serializable")`; '
                "`except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)`: raise at the fifth, else a random pause.",
            ),
            traps={
                "aborted block": "The second attempt ran inside of the transaction of the first, which was aborted.",
                "commit": "The SerializationError of COMMIT was not retried: it is raised when the block is left, outside of the `try`.",
                "lower level": "A conflict that only Serializable notices was committed.",
                "no end": "With a conflict every time there were more than five attempts.",
                "anything": "An error was retried that is no conflict: it is the same next time.",
                "twice": "The connection broke during COMMIT, and the work was done again: the first may have been committed, and here "
                "it was.",
            },
        ),
    ),
)
