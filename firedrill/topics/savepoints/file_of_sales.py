"""Exercise 09: what is kept and what is undone: a partner's file, an order with something optional, a large batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from ... import servers
from ...servers.server import SUPERUSER
from . import batches
from ...checking.outcome import Outcome
from .batches import interrupted
from ...checking.examination import Examination
from .searching import usable

NAME = "09_savepoints"

# Event 5 is not on sale yet: all orders of it are the exercise's.
OURS = "(select id from orders where basket -> 'event' = '5')"
BOOKS = f"""
    select (select count(*) from orders where id in {OURS}) as orders,
           (select count(*) from payments where order_id in {OURS}) as payments,
           (select count(*) from seats where event_id = 5 and status = 'sold') as seats,
           (select coalesce(sum(total_cents), 0) from orders where id in {OURS}) as ordered,
           (select coalesce(sum(amount_cents), 0) from payments where order_id in {OURS}) as paid,
           (select coalesce(sum(price_cents), 0) from seats where event_id = 5 and status = 'sold') as sold"""
NEW_DAY = f"""
    delete from payments where order_id in {OURS};
    delete from orders where id in {OURS};
    update seats set status = case when label = 'J10' then 'held' else 'free' end::seat_status where event_id = 5"""


async def _books(look: Any) -> tuple[int, bool, str]:
    """How many sales are complete, whether nothing is beside them, and both in words."""
    row = await look.fetchrow(BOOKS)
    agree = (
        row["orders"] == row["payments"] == row["seats"]
        and row["ordered"] == row["paid"] == row["sold"]
    )
    said = f"{row['orders']} orders, {row['payments']} payments, {row['seats']} seats sold"
    return (
        row["orders"],
        agree,
        said
        if agree or row["orders"] != row["payments"] or row["orders"] != row["seats"]
        else (
            f"{said}; {row['ordered']} cents ordered, {row['paid']} paid, seats for {row['sold']}"
        ),
    )


# Task 1: a file, and its good rows

GOOD = [(f"A{n}", 10 + n, ("card", "transfer", "voucher")[n % 3]) for n in range(1, 9)]
MIXED: list[tuple[str, Any, str]] = [
    *GOOD[:2],
    ("B1", 9999, "card"),
    ("A1", 31, "card"),
    *GOOD[2:4],
    ("B2", 32, "cash"),
    ("J10", 33, "card"),
    ("B3", "thirty", "card"),
    *GOOD[4:],
    ("Z9", 34, "card"),
]
REASONS = {
    2: "orders_customer_id_fkey",
    3: "",
    6: "payments_method_check",
    7: "",
    8: "thirty",
    13: "",
}
INTERRUPTED = [*GOOD[:3], ("B5", 35, "card"), *GOOD[3:]]
LOCKED = "select from seats where event_id = 5 and label = 'B5' for update"


async def _import(exam: Examination) -> None:
    with servers.open() as stack:
        look, rival = [
            await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER)) for _ in range(2)
        ]
        conn = await asyncpg.connect(stack.postgres.dsn())
        await look.execute(NEW_DAY)
        outcome = await exam.run(conn, GOOD, limit=3)
        sales, agree, said = await _books(look)
        exam.criterion(
            "a file without a bad sale is stored",
            agree and sales == len(GOOD) and _refused(outcome) == {},
            said if outcome.returned else f"{outcome}; {said}",
        )

        await look.execute(NEW_DAY)
        outcome = await exam.run(conn, MIXED, limit=3)
        sales, agree, said = await _books(look)
        refused, wanted = _refused(outcome), len(MIXED) - len(REASONS)
        exam.criterion(
            f"{len(REASONS)} of {len(MIXED)} sales are bad: the others are stored",
            sales == wanted,
            f"{sales} of {wanted}" if outcome.returned else f"{outcome}; {sales} of {wanted}",
        )
        exam.criterion("each seat sold has its order and its payment", agree, said)
        exam.criterion(
            "the bad ones come back by their numbers",
            set(refused or ()) == set(REASONS),
            str(outcome) if refused is None else f"{sorted(refused)} came back",
        )
        known = sum(
            bool(text) and part in text
            for number, part in REASONS.items()
            for text in [(refused or {}).get(number, "")]
        )
        exam.criterion(
            "each with the reason of its own", known == len(REASONS), f"{known} of {len(REASONS)}"
        )
        exam.criterion("the connection can be used afterwards", *await usable(conn))
        aborted = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError) or any(
            "transaction is aborted" in text for text in (refused or {}).values()
        )
        if aborted or (outcome.returned and not sales):
            exam.trap("aborted")
            return
        if not agree:
            exam.trap("half")
        if sales != wanted or not agree or not (await usable(conn))[0]:
            return

        for what, error, interrupt, patience in (  # of the session, in milliseconds; 0 is for ever
            ("cancelled while it waits for a lock", asyncio.CancelledError, _cancel, 0),
            (
                "its query is ended by an administrator",
                asyncpg.QueryCanceledError,
                _end_query(look, conn),
                0,
            ),
            ("its lock_timeout is over", asyncpg.LockNotAvailableError, _nothing, 200),
        ):
            await look.execute(NEW_DAY)
            await conn.execute(f"set lock_timeout = {patience}")
            await rival.execute("begin")
            await rival.execute(LOCKED)
            outcome = await interrupted(exam, look, interrupt, conn, INTERRUPTED)
            await rival.execute("rollback")
            sales, _, said = await _books(look)
            left = isinstance(outcome.error, error)
            exam.criterion(
                f"{what}: that leaves the function, and nothing of the file is stored",
                left and not sales,
                f"{outcome}; {said}",
            )
            if outcome.returned:
                exam.trap("swallowed")
            elif left and sales:
                exam.trap("one by one")
            is_usable, said = await usable(conn)
            exam.criterion("the connection can be used afterwards", is_usable, said)
            if not is_usable:
                return


def _refused(outcome: Outcome) -> dict[Any, str] | None:
    """Reason by number, if that is what came back."""
    try:
        return (
            {number: str(reason) for number, reason in outcome.value} if outcome.returned else None
        )
    except (TypeError, ValueError):
        return None


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()


async def _nothing(_: asyncio.Task[Any]) -> None:
    """PostgreSQL interrupts by itself."""


def _end_query(look: Any, conn: Any) -> Callable[[asyncio.Task[Any]], Awaitable[None]]:
    async def end(_: asyncio.Task[Any]) -> None:
        await look.execute("select pg_cancel_backend($1)", conn.get_server_pid())

    return end


# Task 2: an order, with or without points

POINTS = """
    create table points (customer_id int not null, order_id int not null references orders, points int check (points > 0));
    grant all on points to encore"""


async def _points(conn: Any, customer: int, order: int, points: int = 10) -> None:
    await conn.execute("insert into points values ($1, $2, $3)", customer, order, points)


async def _refused_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    await _points(conn, customer, order, 0)


async def _no_points_today(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    raise RuntimeError("the points' service is away")


async def _slow_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    async with asyncio.timeout(0.1):
        await conn.execute("select pg_sleep(60)")


async def _waiting_points(conn: Any, customer: int, order: int) -> None:
    await _points(conn, customer, order)
    await conn.execute(LOCKED)


async def _order(exam: Examination) -> None:
    with servers.open() as stack:
        look, rival = [
            await asyncpg.connect(stack.postgres.dsn("encore", user=SUPERUSER)) for _ in range(2)
        ]
        conn = await asyncpg.connect(stack.postgres.dsn())
        await look.execute(POINTS)

        async def left(
            what: str,
            outcome: Outcome,
            orders: int,
            points: int,
            returned: bool | type[BaseException],
        ) -> bool:
            """Whether the order is as it has to be; `returned`: whether it has points, or which error arrives."""
            sales, agree, said = await _books(look)
            found = await look.fetchval("select count(*) from points")
            right = agree and (sales, found) == (orders, points)
            answer = (
                (_answer(outcome) is returned)
                if isinstance(returned, bool)
                else isinstance(outcome.error, returned)
            )
            exam.criterion(what, right and answer, f"{outcome}; {said}, points: {found}")
            return right and answer

        async def again() -> None:
            await look.execute(f"delete from points; {NEW_DAY}")

        await again()
        outcome = await exam.run(conn, 11, "A1", "card", _points)
        if not await left("all is well: an order with points", outcome, 1, 1, True):
            return
        failed: dict[Any, bool] = {}
        for what, add_points in (
            ("PostgreSQL refuses the points", _refused_points),
            ("the points fail in Python, half-way", _no_points_today),
            ("the points give up after 0.1 s", _slow_points),
        ):
            await again()
            outcome = await exam.run(conn, 12, "A2", "card", add_points)
            failed[add_points] = not await left(
                f"{what}: an order without points", outcome, 1, 0, False
            )
            lost = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError) or (
                outcome.returned and not (await _books(look))[0]
            )
            if lost:
                exam.trap("lost")
            elif "lost" not in exam.fallen and await look.fetchval("select count(*) from points"):
                exam.trap("half points")
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if any(failed.values()) or not is_usable:
            return
        await again()
        outcome = await exam.run(conn, 13, "A3", "cash", _points)
        sales, agree, _ = await _books(look)
        await left(
            "the payment is refused: that arrives, and nothing stays",
            outcome,
            0,
            0,
            asyncpg.CheckViolationError,
        )
        if not agree:
            exam.trap("half an order")
        await again()
        outcome = await exam.run(conn, 15, "J10", "card", _points)
        await left(
            "the seat is held for somebody else: an error arrives, and nothing stays",
            outcome,
            0,
            0,
            Exception,
        )
        await rival.execute("begin")
        await rival.execute(LOCKED)
        outcome = await interrupted(exam, look, _cancel, conn, 14, "A4", "card", _waiting_points)
        await rival.execute("rollback")
        sales = (await _books(look))[0]
        await left(
            "the request is cancelled while the points wait for a lock: nothing stays",
            outcome,
            0,
            0,
            asyncio.CancelledError,
        )
        if outcome.returned:
            exam.trap("swallowed")
        elif sales:
            exam.trap("afterwards")
        exam.criterion("the connection can be used afterwards", *await usable(conn))


def _answer(outcome: Outcome) -> Any:
    """Of `(order, has points)` the second."""
    value = outcome.value
    return (
        value[1] if outcome.returned and isinstance(value, Sequence) and len(value) == 2 else None
    )


DRILL = Drill(
    NAME,
    "Exercise 09: a file, an order, a batch",
    (
        Task(
            1,
            "a file with bad sales",
            _import,
            drill=NAME,
            hints=(
                "Print what came back: how many of the reasons are about the sale that they stand at?",
                "A sale has to be undone alone, all three statements of it: that needs a mark before it, and an exception that leaves "
                "the marked block. And which errors are a sale's own fault?",
                "One transaction() around the loop, one around sell() in it, the try around the inner one; except only SeatTaken, "
                "asyncpg.DataError and asyncpg.IntegrityConstraintViolationError.",
            ),
            traps={
                "aborted": "An error was caught in a transaction that it had aborted. What came after it was refused for that reason "
                "only, or lost at the end.",
                "half": "A sale is there in part: a seat or an order stayed without the rest.",
                "one by one": "The file was interrupted, and what was before that stays. Whoever sends it again is told that its seats "
                "are taken.",
                "swallowed": "The import was interrupted, and took that for a bad sale: the function went on to its end.",
            },
        ),
        Task(
            2,
            "an order, with or without points",
            _order,
            drill=NAME,
            hints=(
                "What do the points leave behind when they fail in PostgreSQL, and what when they fail in Python?",
                "Only what is optional may be undone alone. The payment's error, and a cancellation, have to undo everything.",
                "async with conn.transaction() around add_points() alone, in a try with `except Exception`; all of it in one "
                "transaction() with the order and the payment.",
            ),
            traps={
                "lost": "The points failed in PostgreSQL, and the order went with them.",
                "half points": "The points failed half-way, and what they had written stays with the order.",
                "half an order": "The payment was refused, and the seat or the order stays.",
                "afterwards": "The order was committed before the points were there: the request was cancelled, and the customer has an "
                "order all the same.",
                "swallowed": "The request was cancelled, and that was taken for a failure of the points.",
            },
        ),
        Task(
            3,
            "a thousand vouchers in few round trips",
            batches.examine,
            drill=NAME,
            hints=(
                "Count: how many round trips does a row take, and how many of the rows are bad? What is the dead-lock's victim, a row or "
                "the transaction?",
                "executemany() in a savepoint stores a hundred rows at once; where it fails, try each half alone. Savepoints that were "
                "rolled back stay set until one around them is released. And what a dead-lock needs is that locks are given back.",
                "for attempt in range(5): try: acquire, transaction(), then for each hundred rows a transaction() around halves(…); "
                "except SerializationError and DeadlockDetectedError around all of that. In halves(): except only DataError and "
                "IntegrityConstraintViolationError, a single row goes to the refused ones.",
            ),
            traps=batches.TRAPS,
        ),
    ),
)
