"""Exercise 11: what clients leave on each other's backends, behind PgBouncer in transaction mode."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from ... import servers, worker
from ...servers.server import SUPERUSER, Server
from . import another
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "11_pool_modes"

Service = Callable[[Any], Awaitable[None]]


# Task 1: a settlement, never two at a time

PAYMENT = "insert into payments (order_id, amount_cents, method) values (1, 1700, 'transfer')"
REFUSED = "insert into payments (order_id, amount_cents, method) values (999999, 1700, 'transfer')"
PAID = "select count(*) from payments where amount_cents = 1700"
ADVISORY = "select count(*) from pg_locks where locktype = 'advisory'"
WORKER_THERE = f"""
_conn = await asyncpg.connect(_dsn)
async def _pay(conn):
    await conn.execute({PAYMENT!r})
"""


async def _settlement(exam: Examination) -> None:
    try:
        inspect.getsource(exam.code)
    except (OSError, TypeError):
        exam.criterion(
            "the function can be sent to another process",
            False,
            "it was not defined in a cell, by `async def`",
        )
        return
    with servers.open() as stack:
        dsn = stack.pgbouncer.dsn("transaction")
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        async with another.process(exam.code) as there:
            await there(WORKER_THERE, _dsn=dsn)
            first, second, third, holder = [await asyncpg.connect(dsn) for _ in range(4)]
            if await _two_workers(exam, there, look, first, second, holder):
                await _nights(exam, look, third, holder)


async def _pay(conn: Any) -> None:
    await conn.execute(PAYMENT)


async def _two_workers(
    exam: Examination, there: worker.Worker, look: Any, first: Any, second: Any, holder: Any
) -> bool:
    """Is there a point in going on? Afterwards `holder` has a backend."""
    meanwhile: list[Outcome] = []  # of a worker there, and of one here
    paid: list[int] = []
    known = False

    async def slowly(conn: Any) -> None:
        nonlocal known
        known = bool(await look.fetchval(ADVISORY))
        await _pay(conn)
        paid.append(await look.fetchval(PAID))
        meanwhile.append(await another.run(there, "_conn, _pay", limit=1.5))
        paid.append(await look.fetchval(PAID))
        meanwhile.append(await exam.run(second, _pay, limit=1.5))
        paid.append(await look.fetchval(PAID))
        await holder.execute("begin")  # has the backend that was used last, unless `first` keeps it

    outcome = await exam.run(first, slowly, limit=12)
    exam.criterion("one worker settles", outcome.value is True, _said(outcome))
    if len(meanwhile) < 2:
        exam.criterion("and pays", False, "pay() was not called, or not to its end")
        return False
    twice = [paid[1] > paid[0], paid[2] > paid[1]]
    for where, other, also in zip(("another", "this"), meanwhile, twice, strict=True):
        exam.criterion(
            f"a second worker comes meanwhile, in {where} process: it is told so, at once",
            other.value is False and not also,
            "it paid as well" if also else _said(other),
        )
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

    outcome = await exam.run(conn, _pay, limit=3)
    await holder.execute("rollback")
    exam.criterion(
        "the next night, on another backend: it settles", outcome.value is True, _said(outcome)
    )
    outcome = await exam.run(conn, fail, limit=3)
    exam.criterion(
        "paying fails: the error arrives", isinstance(outcome.error, ValueError), _said(outcome)
    )
    outcome = await exam.run(conn, _pay, limit=3)
    exam.criterion("the night after that: it settles", outcome.value is True, _said(outcome))
    outcome = await exam.run(conn, be_refused, limit=3)
    exam.criterion(
        "PostgreSQL refuses a payment: that error arrives",
        isinstance(outcome.error, asyncpg.ForeignKeyViolationError),
        _said(outcome),
    )
    left = await look.fetchval(ADVISORY)
    if isinstance(outcome.error, asyncpg.InFailedSQLTransactionError):
        exam.trap("aborted")
    outcome = await exam.run(conn, _pay, limit=3)
    exam.criterion("the night after that: it settles", outcome.value is True, _said(outcome))
    left += await look.fetchval(ADVISORY)
    exam.criterion("nobody works: no lock is left", not left, "left" if left else "none")


def _said(outcome: Outcome) -> str:
    return (
        f"{outcome.value!r} came back"
        if outcome.returned and isinstance(outcome.value, bool | None)
        else str(outcome)
    )


# Task 2: orders of one promoter

PROMOTERS = {"arena": 3, "cellar": 5}
MOVES = 8


def _after_a_move(method: Callable[..., Any]) -> Callable[..., Any]:
    async def moved(self: Any, *arguments: Any, **options: Any) -> Any:
        await self.move()
        return await method(self, *arguments, **options)

    return moved


class _Moved(asyncpg.Connection):
    """Before each of its transactions, another client takes the backend that was used last. So each is on another one."""

    others: list[Any]  # who can do so, and has not yet
    taken: list[Any]

    async def move(self) -> None:
        if self.others and not self.is_in_transaction():
            self.taken.append(self.others.pop())
            await self.taken[-1].execute("begin")

    async def prepare(self, *arguments: Any, **options: Any) -> Any:
        await self.move()
        statement = await super().prepare(*arguments, **options)
        return _MovedStatement(self, statement.get_query(), statement._state)

    execute = _after_a_move(asyncpg.Connection.execute)
    fetch = _after_a_move(asyncpg.Connection.fetch)
    fetchval = _after_a_move(asyncpg.Connection.fetchval)
    fetchrow = _after_a_move(asyncpg.Connection.fetchrow)


class _MovedStatement(PreparedStatement):
    """Its first execution finds the backend that preparing has held, whoever takes another."""

    async def move(self) -> None:
        await self._connection.move()

    fetch = _after_a_move(PreparedStatement.fetch)
    fetchval = _after_a_move(PreparedStatement.fetchval)
    fetchrow = _after_a_move(PreparedStatement.fetchrow)


async def _orders(exam: Examination) -> None:
    with servers.open() as stack:
        await _promoters(stack.postgres)
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute(f"set default_pool_size = {MOVES * 2}")
        dsn = stack.pgbouncer.dsn("transaction")
        others = [await asyncpg.connect(dsn) for _ in range(MOVES)]
        counts = []
        for promoter, expected in PROMOTERS.items():
            conn = await asyncpg.connect(dsn)
            outcome = await exam.run(conn, promoter, limit=4)
            exam.criterion(
                f"{promoter}, nobody else there",
                outcome.value == expected,
                _counted(outcome, expected),
            )
            if not outcome.returned:
                return
            await console.execute("reconnect")
        for promoter, expected in PROMOTERS.items():
            conn = await asyncpg.connect(dsn, connection_class=_Moved)
            conn.others, conn.taken = [*others], []
            outcome = await exam.run(conn, promoter, limit=4)
            conn.others = []
            counts.append(outcome.value == expected)
            exam.criterion(
                f"{promoter}, other clients come in between",
                counts[-1],
                _counted(outcome, expected),
            )
            for other in conn.taken:
                await other.execute("rollback")
        async with contextlib.AsyncExitStack() as held:
            paths = [await _search_path(held, other) for other in others]
        dirty = sum(path != '"$user", public' for path in paths)
        exam.criterion(
            "the shop, afterwards: its own orders on every backend",
            not dirty,
            "its own" if not dirty else "its search_path is left changed, on some",
        )
        if all(counts) and dirty:
            exam.trap("kept")
        elif not all(counts):
            exam.trap("afterwards" if dirty else "nowhere")


async def _promoters(postgres: Server) -> None:
    admin = await asyncpg.connect(postgres.dsn(user=SUPERUSER))
    for promoter, orders in PROMOTERS.items():
        await admin.execute(
            f"create schema {promoter} authorization encore; set role encore; "
            f"create table {promoter}.orders as select * from public.orders order by id limit {orders}; "
            "reset role"
        )
    await admin.close()


async def _search_path(held: contextlib.AsyncExitStack, other: Any) -> str:
    """Of a backend that no other of them has."""
    await held.enter_async_context(_transaction(other))
    path: str = await other.fetchval("show search_path")
    return path


@contextlib.asynccontextmanager
async def _transaction(conn: Any) -> AsyncIterator[None]:
    await conn.execute("begin")
    try:
        yield
    finally:
        await conn.execute("rollback")


def _counted(outcome: Outcome, expected: int) -> str:
    if not outcome.returned:
        return str(outcome)
    return "its own orders" if outcome.value == expected else "not its own orders"


# Task 3: which service poisons the pool


async def _seat_map(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("set local statement_timeout = '2s'")
        await conn.fetch("select label from seats where event_id = 5")


async def _seat_map_poisons(conn: Any) -> None:
    await conn.execute("set statement_timeout = '2s'")
    await conn.fetch("select label from seats where event_id = 5")


async def _seat_map_keeps_a_cursor(conn: Any) -> None:
    await conn.execute(
        "declare plan cursor with hold for select label from seats where event_id = 5"
    )
    await conn.execute("fetch 10 from plan")


async def _prices(conn: Any) -> None:
    async with conn.transaction():
        await conn.execute("create temporary table basket on commit drop as select 'A1' as seat")
        await conn.fetchval("select sum(price_cents) from seats join basket on label = seat")


async def _prices_poisons(conn: Any) -> None:
    await conn.execute("create temporary table basket as select 'A1' as seat")
    await conn.fetchval("select sum(price_cents) from seats join basket on label = seat")


async def _prices_prepares(conn: Any) -> None:
    await conn.execute(
        "prepare price (text) as select price_cents from seats where event_id = 5 and label = $1"
    )
    await conn.execute("execute price ('A1')")


async def _settle(conn: Any) -> None:
    async with conn.transaction():
        await conn.fetchval("select pg_try_advisory_xact_lock(11)")
        await conn.fetchval("select sum(amount_cents) from payments")


async def _settle_poisons(conn: Any) -> None:
    if await conn.fetchval("select pg_try_advisory_lock(11)"):
        await conn.fetchval("select sum(amount_cents) from payments")


async def _mails(conn: Any) -> None:
    await conn.execute("set timezone = 'Asia/Tokyo'")  # PgBouncer keeps that per client
    await conn.execute("select pg_notify('mailed', '17')")


async def _mails_poisons(conn: Any) -> None:
    await conn.execute("listen sold")


ROUNDS: tuple[tuple[dict[str, Service], str | None], ...] = (
    (
        {"mails": _mails, "seat map": _seat_map_poisons, "prices": _prices, "settlement": _settle},
        "seat map",
    ),
    (
        {"prices": _prices_poisons, "mails": _mails, "settlement": _settle, "seat map": _seat_map},
        "prices",
    ),
    (
        {"seat map": _seat_map, "mails": _mails, "settlement": _settle_poisons, "prices": _prices},
        "settlement",
    ),
    (
        {"settlement": _settle, "prices": _prices, "mails": _mails_poisons, "seat map": _seat_map},
        "mails",
    ),
    (
        {"mails": _mails, "prices": _prices_prepares, "seat map": _seat_map, "settlement": _settle},
        "prices",
    ),
    (
        {
            "settlement": _settle,
            "seat map": _seat_map_keeps_a_cursor,
            "mails": _mails,
            "prices": _prices,
        },
        "seat map",
    ),
    ({"prices": _prices, "settlement": _settle, "seat map": _seat_map, "mails": _mails}, None),
)


async def _poisoner(exam: Examination) -> None:
    right = silent = later = 0
    innocent: set[str] = set()  # who was named too early, or where nobody is to blame
    with servers.open() as stack:
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        for number, (services, poisoner) in enumerate(ROUNDS, 1):
            await console.execute("reconnect")
            outcome = await exam.run(dict(services), stack.pgbouncer.dsn("transaction"), limit=5)
            named = outcome.value
            met = outcome.returned and named == poisoner
            what = (
                f"set {number} of services"
                if poisoner
                else "a set of services that leaves nothing behind"
            )
            exam.criterion(
                what,
                met,
                str(outcome)
                if not outcome.returned
                else "right"
                if met
                else "nobody was named"
                if named is None
                else "an innocent one was named"
                if named in services
                else f"{type(named).__name__} came back, and no name of a service",
            )
            names = [*services]
            if outcome.returned and named in names and not met:
                if poisoner and names.index(named) > names.index(poisoner):
                    later += 1
                else:
                    innocent.add(named)
            if poisoner and outcome.returned:
                right += met
                silent += named is None
    poisoned = len(ROUNDS) - 1
    if later:
        exam.trap("stays")
    elif innocent == {"mails"}:
        exam.trap("own client")
    elif innocent:
        exam.trap("prepared by asyncpg")
    elif silent == poisoned:
        exam.trap("elsewhere")
    elif right and silent:
        exam.trap("one kind")


DRILL = Drill(
    NAME,
    "Exercise 11: services behind PgBouncer in transaction mode",
    (
        Task(
            1,
            "a settlement, never two at a time",
            _settlement,
            drill=NAME,
            hints=(
                "The lock of the starter belongs to a session. Which session does a worker have while it pays?",
                "Two workers that come one after the other can be given the same backend, and a session may take its own lock "
                "again. For how long does a client keep its backend, in transaction mode?",
                "There is a kind of advisory lock that ends with a transaction, with a variant that does not wait. Ask for it, and "
                "pay, in one `async with conn.transaction()`.",
            ),
            traps={
                "session": "Both paid. The lock still belongs to the backend, and both were given the same one. It does not matter how "
                "often one asks, or how the lock is let go.",
                "gone": "The lock was gone before the work began: it lasted as long as the statement that asked for it.",
                "waits": "The second worker waited for the first. It has to be told at once; a lock that waits lets it pay everything "
                "once more afterwards.",
                "process": "Only this process knows of it. The workers run on different machines.",
                "aborted": "PostgreSQL takes no statement after an error until the transaction is rolled back: the unlock failed, its "
                "error hides the one that mattered, and the lock of the session is still there.",
            },
        ),
        Task(
            2,
            "orders of one promoter",
            _orders,
            drill=NAME,
            hints=(
                "Print `select pg_backend_pid()` before and after, while other clients are at work.",
                "The setting has to be on the same backend as the query, and to be gone before anybody else gets that backend.",
                "SET has a form that ends with the transaction, and set_config() has a third argument for it. Both need a "
                "transaction that holds the query, too.",
            ),
            traps={
                "afterwards": "The setting went to one backend, the query to a second, and what should clean up to a third. The first is "
                "still set.",
                "kept": "The counts are right, and the backend keeps the setting after COMMIT. The shop gets it next.",
                "nowhere": "The setting ended before the query began: a statement outside of a transaction is a transaction of its own.",
            },
        ),
        Task(
            3,
            "one service of four poisons the pool",
            _poisoner,
            drill=NAME,
            hints=(
                "Lesson 11's matrix lists what can stay on a backend. PostgreSQL has a view or a function for each of them.",
                "Look through PgBouncer, with a second client: when nobody else is there, it is given the backend that the service "
                "has just used. Look before and after each service, and compare.",
                "pg_settings, pg_locks (of pg_backend_pid()), pg_class (relpersistence = 't'), pg_cursors (is_holdable), "
                "pg_prepared_statements (from_sql), pg_listening_channels(): gather them into one value, as text, in one query.",
            ),
            traps={
                "one kind": "Some kinds of poison were found, and others were not. A backend keeps more than that.",
                "stays": "The poison stays when the next service runs, and that one was blamed for it.",
                "elsewhere": "Nobody was ever found. Was it looked at the backend that the services had used?",
                "own client": "A service that sets its time zone was blamed. PgBouncer gives each client its own time zone back, and "
                "nobody else's. Look with another client than the service's.",
                "prepared by asyncpg": "A service was blamed that leaves no more than what asyncpg and PgBouncer prepare for queries. "
                "Those come and go, and harm nobody: pg_prepared_statements tells them by `from_sql`.",
            },
        ),
    ),
)
