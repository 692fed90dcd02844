"""Exercise 17: a list and a sale are ported from psycopg to asyncpg, and an import the other way, behind PgBouncer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from ... import servers, views
from ...servers.server import ROLE, SUPERUSER
from ...servers.stack import Stack
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "17_choosing_a_driver"


# The originals. The exercise shows them with inspect.getsource().


async def orders_with_psycopg(conn: Any, customer: str, since: str) -> list[dict[str, Any]]:
    """`customer` and `since` are texts, as they come out of the URL."""
    cursor = conn.cursor(row_factory=dict_row)
    await cursor.execute(
        """
        select id, placed_at, basket, (total_cents / 100.0)::numeric(10, 2) as total
        from orders where customer_id = %s and placed_at >= %s order by id""",
        (customer, since),
    )
    rows: list[dict[str, Any]] = await cursor.fetchall()
    return rows


async def sell_with_psycopg(conn: Any, customer: int, event: int, seat: str) -> int | None:
    """The order's number; None if the seat is not free."""
    attempts = 3
    while True:
        attempts -= 1
        try:
            async with conn.transaction():
                await conn.execute("set local lock_timeout = '500ms'")
                cursor = await conn.execute(
                    """
                    update seats set status = 'sold'
                    where event_id = %s and label = %s and status = 'free'
                    returning price_cents""",
                    (event, seat),
                )
                if not cursor.rowcount:
                    return None
                [price] = await cursor.fetchone()
                cursor = await conn.execute(
                    """
                    insert into orders (customer_id, total_cents, basket)
                    values (%s, %s, %s) returning id""",
                    (customer, price, Jsonb({"event": event, "seats": [seat]})),
                )
                [order] = await cursor.fetchone()
                try:
                    async with conn.transaction():
                        await conn.execute(
                            "insert into first_orders values (%s, %s)", (customer, order)
                        )
                except psycopg.errors.UniqueViolation:
                    pass  # it is not the customer's first
                return int(order)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected):
            if not attempts:
                raise


async def import_with_asyncpg(dsn: str, event: int, prices: list[tuple[str, int]]) -> int:
    """How many seats have another price now."""
    conn = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        async with conn.transaction():
            changed = 0
            for label, cents in prices:
                status = await conn.execute(
                    """
                    update seats set price_cents = $3
                    where event_id = $1 and label = $2 and price_cents <> $3""",
                    event,
                    label,
                    cents,
                )
                changed += int(status.split()[-1])
        return changed
    finally:
        await conn.close()


async def _admin(stack: Stack) -> Any:
    return await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))


# Task 1: a list of orders

CUSTOMER, NOBODY = "17", "199"
ZONE = "Pacific/Kiritimati"  # 14 hours before UTC, where hardly any process is
PLACED = """
    delete from orders where customer_id in (17, 199);
    insert into orders (customer_id, placed_at, total_cents, basket)
    select 17, timestamptz '2026-11-22 00:00+00' + n * interval '3 hours', 1999 + n,
           jsonb_build_object('event', 5, 'seats', jsonb_build_array('A' || n))
    from generate_series(0, 9) n"""
CASES = (
    ("since a moment with a zone", CUSTOMER, "2026-11-22T12:00:00+00:00"),
    ("since a moment without one: in the session's", CUSTOMER, "2026-11-22 23:30"),
    ("of a customer who has none", NOBODY, "2026-01-01"),
)
BAD_TEXTS = (  # the original gives errors for them
    ("17 or true", "2026-01-01"),
    ("17' or 'a' = 'a", "2026-01-01"),
    (CUSTOMER, "2026-01-01' or 'a' = 'a"),
    ("17' or true --", "2026-01-01"),
    (CUSTOMER, "2026-01-01' or true --"),
)
BASKET = "select basket from orders where customer_id = 17 limit 1"


async def _list(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        await admin.execute("delete from payments")
        await admin.execute(PLACED)
        conn = await asyncpg.connect(stack.postgres.dsn(), server_settings={"timezone": ZONE})
        async with await psycopg.AsyncConnection.connect(
            stack.postgres.dsn(), options=f"-c timezone={ZONE}"
        ) as other:
            equal = []
            for what, customer, since in CASES:
                expected = await orders_with_psycopg(other, customer, since)
                outcome = await exam.run(conn, customer, since)
                equal.append(_plain(outcome.value) == expected)
                exam.criterion(f"{what}: the same rows", equal[-1], _rows(outcome, expected))
                if outcome.returned and (kind := _kind(outcome.value)):
                    exam.criterion(
                        "as the original's: a list of dicts, which have a dict as basket",
                        False,
                        kind[1],
                    )
                    exam.trap(kind[0])
                    return
        came = [
            outcome
            for texts in BAD_TEXTS
            if (outcome := await exam.run(conn, *texts)).error is None
        ]
        exam.criterion(
            "a text that is no number, or no moment: an error, as in the original",
            not came,
            str(came[0]) if came else "an error",
        )
        if any(outcome.returned and outcome.value for outcome in came):
            exam.trap("sql")
        if conn.is_closed():
            exam.criterion("the connection is still of use", False, "it is closed")
            return
        basket = await conn.fetchval(BASKET)
        exam.criterion(
            "other handlers of this connection do json.loads() themselves: they still can",
            isinstance(basket, str),
            f"they get a {type(basket).__name__}",
        )
        if not isinstance(basket, str):
            exam.trap("for everybody")
        elif equal == [True, False, True]:
            exam.trap("zone")


def _plain(value: Any) -> Any:
    return (
        [dict(row) if isinstance(row, asyncpg.Record) else row for row in value]
        if isinstance(value, list)
        else value
    )


def _kind(value: Any) -> tuple[str, str] | None:
    """What is not as in the original, and its trap."""
    rows = value if isinstance(value, list) else []
    if any(isinstance(row, asyncpg.Record) for row in rows):
        return "records", "asyncpg's Records"
    if any(isinstance(row, dict) and isinstance(row.get("basket"), str) for row in rows):
        return "text", "a str as basket"
    return None


def _rows(outcome: Outcome, expected: list[Any]) -> str:
    if not outcome.returned or not isinstance(outcome.value, list):
        return str(outcome)
    rows = _plain(outcome.value)
    if rows == expected:
        return f"{len(rows)} rows"
    return (
        f"{len(rows)} rows came, of {len(expected)}"
        if len(rows) != len(expected)
        else "as many rows, with other contents"
    )


# Task 2: a sale

EVENT, SIZE = 5, 3
SHOP = f"""
    create table first_orders (customer_id int primary key, order_id int not null);
    grant all on first_orders to {ROLE};
    create sequence attempts;
    create function refuse() returns trigger language plpgsql security definer as $$
    begin
        if nextval('attempts') <= tg_argv[0]::int then
            raise exception 'refused by the exercise' using errcode = tg_argv[1];
        end if;
        return new;
    end $$;
    create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.2); return new; end $$"""
REFUSE = {
    "insert": "create trigger refuse before insert on orders for each row execute function refuse({}, '{}')",
    "commit": "create constraint trigger refuse after insert on orders deferrable initially deferred "
    "for each row execute function refuse({}, '{}')",
}
SLOW = "create trigger slow before insert on orders for each row execute function slow()"
WAITING = (
    "select count(*) from pg_stat_activity where datname = 'encore' and wait_event_type = 'Lock'"
)
STORED = """
    select status::text, (select count(*) from orders where basket -> 'seats' ? label and basket ->> 'event' = '5') as orders
    from seats where event_id = 5 and label = $1"""
ORDER = "select customer_id, total_cents, basket::text, jsonb_typeof(basket) as kind from orders where id = $1"


class _Sale:
    """The learner's function, a pool for it, and who looks from outside."""

    def __init__(self, exam: Examination, stack: Stack, admin: Any, pool: Any) -> None:
        self.exam, self.stack, self.admin, self.pool = exam, stack, admin, pool

    async def sell(self, customer: int, seat: str, limit: float = 5) -> tuple[Outcome, str]:
        """What came of it, and what is stored: "sold, 1 order", say."""
        outcome = await self.exam.run(self.pool, customer, EVENT, seat, limit=limit)
        if (
            outcome.returned
            and _is_number(outcome.value)
            and not await self.admin.fetch(ORDER, outcome.value)
        ):
            return outcome, "and there is no such order"
        row = await self.admin.fetchrow(STORED, seat)
        return outcome, f"{row['status']}, {row['orders']} order{'s' * (row['orders'] != 1)}"

    async def refused(
        self, where: str, times: int, sqlstate: str, seat: str
    ) -> tuple[Outcome, str, int]:
        """The same, while PostgreSQL refuses so many times; and how often it was tried."""
        await self.admin.execute(
            f"alter sequence attempts restart; {REFUSE[where].format(times, sqlstate)}"
        )
        outcome, stored = await self.sell(30 + times, seat)
        await self.admin.execute("drop trigger refuse on orders")
        return outcome, stored, await self.admin.fetchval("select last_value from attempts")

    def leaked(self) -> int:
        return int(self.pool.get_size() - self.pool.get_idle_size())


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _came(outcome: Outcome, stored: str) -> str:
    what = (
        "a number came back"
        if _is_number(outcome.value)
        else "None came back"
        if outcome.returned and outcome.value is None
        else str(outcome)
    )
    return f"{what}; {stored}"


async def _sale(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        await admin.execute(SHOP)
        async with await psycopg.AsyncConnection.connect(
            stack.postgres.dsn(), autocommit=True
        ) as other:
            model = await admin.fetchrow(ORDER, await sell_with_psycopg(other, 17, EVENT, "J1"))
        pool = await asyncpg.create_pool(stack.postgres.dsn(), min_size=SIZE, max_size=SIZE)
        sale = _Sale(exam, stack, admin, pool)
        try:
            for step in (_plain_sales, _errors, _conflicts, _waits, _cancelled, _neighbours):
                if not await step(sale, model):
                    break
                if leaked := sale.leaked():
                    exam.criterion(
                        "every connection is given back",
                        False,
                        f"{leaked} of {SIZE} did not come back",
                    )
                    exam.trap("leak")
                    break
            else:
                exam.criterion("every connection is given back", True, f"{SIZE} of {SIZE}")
        finally:
            pool.terminate()


async def _plain_sales(sale: _Sale, model: Any) -> bool:
    outcome, stored = await sale.sell(21, "A1")
    row = await sale.admin.fetchrow(ORDER, outcome.value) if _is_number(outcome.value) else None
    expected = (21, model["kind"], model["basket"].replace("J1", "A1"))
    same = row is not None and (row["customer_id"], row["kind"], row["basket"]) == expected
    sale.exam.criterion(
        "a free seat: the order's number comes back, and what the original stores is stored",
        same and stored == "sold, 1 order",
        _came(outcome, stored)
        if row is None or same
        else f"the basket is a {row['kind']}"
        if row["kind"] != model["kind"]
        else "the order is another one",
    )
    if not outcome.returned:
        return True
    outcome, stored = await sale.sell(22, "A1")
    sale.exam.criterion(
        "the same seat again: None, and nothing is stored",
        outcome.returned and outcome.value is None and stored == "sold, 1 order",
        _came(outcome, stored),
    )
    outcome, stored = await sale.sell(21, "A2")
    sale.exam.criterion(
        "the customer's second order: it is stored as well",
        _is_number(outcome.value) and stored == "sold, 1 order",
        _came(outcome, stored),
    )
    if outcome.returned and stored != "sold, 1 order":
        sale.exam.trap("swallowed")
    return True


async def _errors(sale: _Sale, model: Any) -> bool:
    outcome, stored = await sale.sell(9999, "A3")
    right = isinstance(outcome.error, asyncpg.ForeignKeyViolationError)
    sale.exam.criterion(
        "a customer who does not exist: that error arrives, and the seat is free",
        right and stored == "free, 0 orders",
        _came(outcome, stored),
    )
    if right and stored != "free, 0 orders":
        sale.exam.trap("half")
    outcome, stored, _ = await sale.refused("commit", 1, "23514", "A4")
    sale.exam.criterion(
        "COMMIT is refused: that error arrives, and the seat is free",
        isinstance(outcome.error, asyncpg.CheckViolationError) and stored == "free, 0 orders",
        _came(outcome, stored),
    )
    return not outcome.hung


async def _conflicts(sale: _Sale, model: Any) -> bool:
    for where, sqlstate, what, seat in (
        ("insert", "40P01", "a dead-lock at the first attempt", "B1"),
        ("commit", "40001", "40001 at the first COMMIT", "B2"),
    ):
        outcome, stored, tried = await sale.refused(where, 1, sqlstate, seat)
        sale.exam.criterion(
            f"{what}: it is tried again, and sold once",
            _is_number(outcome.value) and stored == "sold, 1 order",
            _came(outcome, stored),
        )
        aborted = isinstance(outcome.error, asyncpg.InFailedSQLTransactionError)
        if aborted or (
            where == "commit"
            and isinstance(outcome.error, asyncpg.SerializationError)
            and tried == 1
        ):
            sale.exam.trap("inside")
    outcome, stored, tried = await sale.refused("insert", 100, "40001", "B3")
    sale.exam.criterion(
        "40001 each time: after three attempts, that error arrives",
        isinstance(outcome.error, asyncpg.SerializationError)
        and tried == 3
        and stored == "free, 0 orders",
        f"{_came(outcome, stored)}, {tried} attempts",
    )
    return not outcome.hung


async def _waits(sale: _Sale, model: Any) -> bool:
    async with sale.admin.transaction():
        await sale.admin.execute("select from seats where event_id = 5 and label = 'C1' for update")
        outcome = await sale.exam.run(sale.pool, 24, EVENT, "C1", limit=2.5)
    soon = 0.4 <= outcome.seconds < 1.5
    sale.exam.criterion(
        "somebody holds the seat: after half a second, LockNotAvailableError",
        isinstance(outcome.error, asyncpg.LockNotAvailableError) and soon,
        f"{outcome}{'' if soon else f', after {outcome.seconds:.1f} s'}",
    )
    if outcome.hung:
        sale.exam.trap("no limit")
        return True
    held = [await sale.pool.acquire() for _ in range(SIZE)]
    outcome = await sale.exam.run(sale.pool, 25, EVENT, "C2", limit=3)
    for conn in held:
        await sale.pool.release(conn)
    sale.exam.criterion(
        "no connection is free: after a second, TimeoutError",
        isinstance(outcome.error, TimeoutError),
        str(outcome),
    )
    if outcome.hung:
        sale.exam.trap("for ever")
        return True
    await sale.admin.execute(SLOW)
    outcome, stored = await sale.sell(27, "C4")
    await sale.admin.execute("drop trigger slow on orders")
    sale.exam.criterion(
        "the insert of the order takes longer than a second: it is waited for, and sold",
        _is_number(outcome.value) and stored == "sold, 1 order",
        _came(outcome, stored),
    )
    return True


async def _cancelled(sale: _Sale, model: Any) -> bool:
    """While it waits for a seat. A connection that does not come back is the caller's to tell."""

    async def sell() -> Any:
        return await sale.exam.code(sale.pool, 26, EVENT, "C3")

    async with sale.admin.transaction():
        await sale.admin.execute("select from seats where event_id = 5 and label = 'C3' for update")
        sold = asyncio.create_task(sell())
        while not sold.done() and not await sale.admin.fetchval(WAITING):
            await asyncio.wait({sold}, timeout=0.01)
        sold.cancel()
        await asyncio.wait({sold}, timeout=3)
    if sold.done() and not sold.cancelled():
        sold.exception()  # looked at, or asyncio would complain
    return True


async def _neighbours(sale: _Sale, model: Any) -> bool:
    """Asked at last, of each connection of the pool."""
    held = [await sale.pool.acquire() for _ in range(SIZE)]
    kinds = {
        type(await conn.fetchval("select basket from orders limit 1")).__name__ for conn in held
    }
    for conn in held:
        await sale.pool.release(conn)
    sale.exam.criterion(
        "other handlers of this pool do json.loads() themselves: they still can",
        kinds == {"str"},
        f"they get {' or '.join(sorted(kinds))}",
    )
    if kinds != {"str"}:
        sale.exam.trap("for everybody")
    return True


# Task 3: an import

PRICES = [(f"{row}{number}", 4000 + 10 * number) for row in "ABCDEFGHIJ" for number in range(1, 11)]
PRICES[-1] = ("J'10", 4110)
TWICE = [("A1", 5999), *PRICES[1:], ("A1", 6000)]
HIGHER = [(label, cents + 1) for label, cents in PRICES]
BAD = [(label, cents + 2 if label != "E5" else 0) for label, cents in PRICES]
NOW = "select label, price_cents from seats where event_id = $1"
THEIRS = "select email from customers where id = %s"
BACKENDS = 2


async def _import(exam: Examination) -> None:
    with servers.open() as stack:
        admin = await _admin(stack)
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute("set max_prepared_statements = 0")
        await console.execute(f"set default_pool_size = {BACKENDS}")
        dsn = stack.pgbouncer.dsn("transaction")

        async def prices(event: int) -> dict[str, int]:
            return dict(await admin.fetch(NOW, event))

        await admin.execute(
            "update seats set label = $1 where event_id in (4, 5) and label = 'J10'", PRICES[-1][0]
        )
        expected = await import_with_asyncpg(dsn, 4, PRICES)
        outcome = await exam.run(dsn, 5, PRICES, limit=8)
        stored = await prices(5) == await prices(4)
        exam.criterion(
            "100 prices: all are stored", stored, "stored" if stored else f"not stored: {outcome}"
        )
        exam.criterion(
            "and as many as by the original have changed",
            outcome.value == expected,
            str(outcome.value)[:50] if outcome.returned else str(outcome),
        )
        if outcome.returned and not stored:
            exam.trap("not committed")
        if not outcome.returned or not stored:
            return

        outcome = await exam.run(dsn, 5, TWICE, limit=8)
        stored = await prices(5) == dict(TWICE)
        exam.criterion(
            "a seat is in the list twice: its last price is stored",
            stored,
            "stored" if stored else str(outcome) if outcome.error else "not stored",
        )

        before = await prices(5)
        outcome = await exam.run(dsn, 5, BAD, limit=8)
        same = await prices(5) == before
        exam.criterion(
            "one price is refused: that error arrives",
            isinstance(outcome.error, psycopg.errors.CheckViolation),
            str(outcome),
        )
        exam.criterion("and no price has changed", same, "none" if same else "some have")
        if not same:
            exam.trap("half")
        left = await _clients(stack)
        exam.criterion("and no connection is left", not left, f"{left} left")
        if left:  # it may have locks, and a backend
            exam.trap("left open")
            return
        if _is_about_names(outcome.error):  # its own, of the import before
            exam.trap("prepared")

        await console.execute("reconnect transaction")
        shops = [
            await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0)
            for _ in range(BACKENDS)
        ]
        for shop in shops:  # each on a backend of its own
            await shop.execute("begin", prepare=False)
            await shop.execute(THEIRS, (1,))
        for shop in shops:  # not by ROLLBACK: psycopg forgets what it has prepared then
            await shop.execute("commit", prepare=False)
        outcome = await exam.run(dsn, 5, HIGHER, limit=8)
        stored = await prices(5) == dict(HIGHER)
        exam.criterion(
            "other programs, with psycopg, have prepared statements there: 100 prices are stored",
            stored and outcome.returned,
            "stored" if stored else str(outcome),
        )
        if not stored and _is_about_names(outcome.error):
            exam.trap("prepared")
        theirs = await _still(shops, admin)
        exam.criterion(
            "and theirs are still there", theirs, "they are" if theirs else "they are not"
        )
        if not theirs and stored:
            exam.trap("others")
        for shop in shops:
            await shop.close()


def _is_about_names(error: BaseException | None) -> bool:
    return isinstance(
        error, psycopg.errors.DuplicatePreparedStatement | psycopg.errors.InvalidSqlStatementName
    )


async def _clients(stack: Stack) -> int:
    """Of PgBouncer's database for transaction mode; it takes a moment to notice that one has left."""
    deadline = time.monotonic() + 2
    while True:
        count: int = sum(
            row["database"] == "transaction" for row in await views.show(stack.pgbouncer, "clients")
        )
        if not count or time.monotonic() > deadline:
            return count
        await asyncio.sleep(0.05)


async def _still(shops: list[Any], admin: Any) -> bool:
    expected = await admin.fetchval("select email from customers where id = 2")
    good = 0
    for shop in shops:
        try:
            await shop.execute("begin", prepare=False)
            good += await (await shop.execute(THEIRS, (2,))).fetchone() == (expected,)
        except psycopg.Error:
            pass
    return good == len(shops)


DRILL = Drill(
    NAME,
    "Exercise 17: a list, a sale and an import change their driver",
    (
        Task(
            1,
            "a list of orders, from psycopg to asyncpg",
            _list,
            drill=NAME,
            hints=(
                'Print type(row), type(row["basket"]) and each value, of the original and of yours.',
                "psycopg sends a text as a text, and PostgreSQL makes an integer or a moment of it, in the session's zone. asyncpg "
                "asks PostgreSQL for the parameter's type, and wants a value of it from you. What does $1::text::int ask for?",
                "where customer_id = $1::text::int and placed_at >= $2::text::timestamptz. Then dict(row) for each row, and json.loads "
                "for its basket.",
            ),
            traps={
                "records": "Rows came back as asyncpg's Records. They look like dicts and are none: no JSON encoder takes them, and they "
                "are equal to no dict.",
                "text": 'The basket is still a text: whoever reads basket["seats"] gets "string indices must be integers".',
                "zone": "A moment without a zone was taken in another zone than the session's: the process's, or UTC. The same URL gives "
                "other orders now.",
                "for everybody": "A codec was set on a connection that others use as well. Their json.loads() gets a dict now, and "
                "fails.",
                "sql": "A text out of the URL became SQL: whoever writes a quote there gets everybody's orders.",
            },
        ),
        Task(
            2,
            "a sale, from psycopg to asyncpg",
            _sale,
            drill=NAME,
            hints=(
                "Go through the original line by line: what ends when, if this line raises?",
                "Three things are in the words of the original and in no line of the starter: the transaction around the sale, the one "
                "around first_orders, and the connection, which somebody else takes and gives back.",
                "Inside of the loop's try: async with pool.acquire(timeout=1) as conn, conn.transaction(). The limit for locks is SET "
                "LOCAL in it; first_orders with `on conflict do nothing`, or in a nested transaction(); the basket with json.dumps.",
            ),
            traps={
                "half": "The error arrived, and the seat is sold without an order: each statement committed itself.",
                "swallowed": "A number came back, and nothing is stored: PostgreSQL's error was caught inside of the transaction, and "
                "its COMMIT was a rollback.",
                "inside": "It was tried again where that cannot help: inside of the transaction that the conflict has ended, or not at "
                "COMMIT, which raises conflicts, too.",
                "no limit": "A seat that somebody holds was waited for without a limit. Outside of a transaction SET LOCAL has no "
                "effect.",
                "for ever": "All connections were taken, and it waited on. The original's pool gives up by itself; asyncpg's does not.",
                "leak": "A connection was not given back when the sale failed, or was cancelled. After as many as the pool has "
                "connections, nobody can buy.",
                "for everybody": "A codec was set on a connection of the pool, for all who are lent it afterwards.",
            },
        ),
        Task(
            3,
            "an import, from asyncpg to psycopg, behind PgBouncer",
            _import,
            drill=NAME,
            hints=(
                "Three questions for psycopg's documentation: when does it begin a transaction, what does it do at close(), and when "
                "does it prepare?",
                "The original switches statements off in its connect(), has one transaction, and closes in every case. psycopg prepares "
                "what it has run five times, as _pg3_0, and every program's first one has that name.",
                "async with await psycopg.AsyncConnection.connect(dsn, prepare_threshold=None) as conn: it commits at the end, or rolls "
                "back, and closes. cursor.rowcount counts.",
            ),
            traps={
                "not committed": "It counted 100 changes, and there is none: psycopg had begun a transaction, and nobody committed it.",
                "half": "One price was refused, and those before it have changed.",
                "left open": "After the error a connection is left, with all that it had locked.",
                "prepared": "The name _pg3_0 was there already, prepared by another program: psycopg prepares what it has run five times "
                "(or at once, with prepare_threshold=0).",
                "others": "The import works, and what the other programs had prepared is gone. Their next query fails.",
            },
        ),
    ),
)
