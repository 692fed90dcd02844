"""Stretch: a request that is repeated, by the browser and after a lost COMMIT, adds money once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...servers.stack import Stack
from .locks import waits_for_a_lock

TITLE = "the request that comes twice"

HINTS = (
    'Lesson 08, the last part, "a key". Which statement finds out that somebody else has the key, '
    "and waits for that transaction if it is not over?",
    "The key and the money belong to one transaction: then whoever finds the key finds the money, "
    "too. `insert … on conflict (key) do nothing` waits, and its status says whether this call is "
    "the first. After a broken connection the same call, with the same key, can be made again.",
    'A loop of five; in it `try`, in that a transaction: insert the key; at "INSERT 0 1" update '
    "the wallet, otherwise compare the row. `except (OSError, asyncpg.PostgresConnectionError, "
    "asyncpg.AdminShutdownError, asyncpg.InterfaceError)`: raise at the fifth, or pause.",
)

TRAPS = {
    "looks first": "A request with the same key got UniqueViolationError: the first one was under "
    "way when the second looked, so it found no key.",
    "again": "The money was added again, although the key was stored.",
    "key alone": "The key is stored and the money is not there. Whoever repeats the request is "
    "told that all is well.",
    "gives up": "The connection broke during COMMIT, and the error arrived at once. With the key, "
    "the request can be repeated, whether it was committed or not.",
}

ATTEMPTS = 5
CUSTOMERS = 4  # requests with one key at the same time, and connections of the pool

TABLES = """
    create table wallets (customer_id int primary key, cents int not null);
    insert into wallets select id, 0 from generate_series(1, 20) id;
    create table top_ups (
        key text primary key,
        customer_id int not null references wallets,
        cents int not null check (cents > 0))"""
SLOW_COMMIT = """
    create function slow() returns trigger language plpgsql as
        'begin perform pg_advisory_xact_lock(8); return null; end';
    create constraint trigger slow_commit after insert on top_ups
    deferrable initially deferred for each row execute function slow()"""
BOOKS = """
    select (select cents from wallets where customer_id = $1) as wallet,
           coalesce(sum(cents), 0)::int as keys, count(*) as rows
    from top_ups where customer_id = $1"""
END_IN_COMMIT = """
    select pg_terminate_backend(pid, 5000) from pg_locks
    where locktype = 'advisory' and not granted"""


class Bank:
    """The wallets, and what the tables say of one."""

    def __init__(self, exam: Examination, stack: Stack, look: Any, other: Any) -> None:
        self.exam, self.stack, self.look, self.other = exam, stack, look, other
        self.again = self.key_alone = False

    async def books(self, customer: int) -> tuple[int, int, int]:
        wallet, keys, rows = await self.look.fetchrow(BOOKS, customer)
        self.again |= wallet > keys
        self.key_alone |= keys > wallet
        return wallet, keys, rows


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, other = await admin(stack), await asyncpg.connect(stack.postgres.dsn())
        await other.execute(TABLES)
        bank = Bank(exam, stack, look, other)
        pool = await asyncpg.create_pool(
            stack.postgres.dsn(), min_size=CUSTOMERS, max_size=CUSTOMERS
        )
        twins = await _at_once(bank, pool)
        await _used(bank, pool)
        await _refused(bank, pool)
        await _beside_another(bank, pool)
        pool.terminate()
        await look.execute(SLOW_COMMIT)
        lost = [await _lost_commit(bank, 11, False), await _lost_commit(bank, 12, True)]
        await _nobody_there(exam)
    if bank.key_alone:
        exam.trap("key alone")
    elif bank.again:
        exam.trap("again")
    elif any(isinstance(one.error, asyncpg.UniqueViolationError) for one in twins):
        exam.trap("looks first")
    elif isinstance(lost[0].error, asyncpg.ConnectionDoesNotExistError):
        exam.trap("gives up")


def _told(outcomes: list[Outcome], books: tuple[int, int, int]) -> str:
    wrong = [one for one in outcomes if not one.returned]
    said = str(wrong[0]) if wrong else "all have returned"
    return f"{said}; {books[0]} cents in the wallet, keys: {books[2]}"


async def _at_once(bank: Bank, pool: Any) -> list[Outcome]:
    """The first of them holds the key while it waits for the wallet. Then one comes later."""
    await bank.other.execute("begin; select from wallets where customer_id = 1 for update")
    running = [bank.exam.start(pool, "K-1", 1, 500, limit=8) for _ in range(CUSTOMERS)]
    await waits_for_a_lock(bank.stack, running[0], sessions=CUSTOMERS)
    await bank.other.execute("rollback")
    outcomes = [await one for one in running]
    outcomes.append(await bank.exam.run(pool, "K-1", 1, 500))
    books = await bank.books(1)
    bank.exam.criterion(
        f"{CUSTOMERS} requests with one key at once, and one later: added once, all return",
        books == (500, 500, 1) and all(one.returned for one in outcomes),
        _told(outcomes, books),
    )
    return outcomes


async def _used(bank: Bank, pool: Any) -> None:
    await bank.exam.run(pool, "K-2", 2, 500)
    outcomes = [
        await bank.exam.run(pool, "K-2", 2, 700),
        await bank.exam.run(pool, "K-2", 3, 500),
    ]
    books = await bank.books(2)
    others = await bank.books(3)
    bank.exam.criterion(
        "its key was used for another amount, or for another customer: ValueError, nothing changes",
        all(isinstance(one.error, ValueError) for one in outcomes)
        and (books, others) == ((500, 500, 1), (0, 0, 0)),
        f"{outcomes[0]}; {outcomes[1]}",
    )


async def _refused(bank: Bank, pool: Any) -> None:
    zero = await bank.exam.run(pool, "K-3", 4, 0)
    nobody = await bank.exam.run(pool, "K-4", 9999, 500)
    later = [await bank.exam.run(pool, key, 4, 500) for key in ("K-3", "K-4")]
    books = await bank.books(4)
    bank.exam.criterion(
        "0 cents, and a customer without a wallet: these errors arrive, and the keys are free",
        isinstance(zero.error, asyncpg.CheckViolationError)
        and isinstance(nobody.error, asyncpg.ForeignKeyViolationError)
        and all(one.returned for one in later)
        and books == (1000, 1000, 2),
        f"{zero}; {nobody}; {_told(later, books)}",
    )


async def _beside_another(bank: Bank, pool: Any) -> None:
    await bank.other.execute("begin; insert into top_ups values ('K-5', 5, 500)")
    running = bank.exam.start(pool, "K-6", 6, 500, limit=8)
    is_behind = await waits_for_a_lock(bank.stack, running)
    await bank.other.execute("rollback")
    outcome, books = await running, await bank.books(6)
    bank.exam.criterion(
        "another customer's top-up is under way: this one does not wait for it",
        not is_behind and outcome.returned and books == (500, 500, 1),
        "it waited for a lock" if is_behind else _told([outcome], books),
    )


async def _lost_commit(bank: Bank, customer: int, is_ended: bool) -> Outcome:
    """COMMIT waits for a lock, and its connection breaks; then it goes on, or its server ends."""
    await bank.look.execute("select pg_advisory_lock(8)")
    with wire.tap(bank.stack, in_front_of="postgres") as tap:
        pool = await asyncpg.create_pool(tap.dsn(), min_size=2, max_size=2)
        running = bank.exam.start(pool, f"L-{customer}", customer, 500, limit=12)
        await waits_for_a_lock(bank.stack, running)
        tap.reset()
        await waits_for_a_lock(bank.stack, running, sessions=2)
        if is_ended:
            await bank.look.execute(END_IN_COMMIT)
        await bank.look.execute("select pg_advisory_unlock(8)")
        outcome = await running
        pool.terminate()
    # All transactions that write wallets have ended when this lock is given.
    await bank.look.execute("begin; lock table wallets in share mode; commit")
    books = await bank.books(customer)
    bank.exam.criterion(
        "the connection breaks in COMMIT, which "
        + ("is rolled back: added once" if is_ended else "succeeds all the same: added once"),
        outcome.returned and books == (500, 500, 1),
        _told([outcome], books),
    )
    return outcome


async def _nobody_there(exam: Examination) -> None:
    """A server that breaks each connection before it has answered."""
    met = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        dsn = f"postgresql://encore@127.0.0.1:{port}/encore?sslmode=disable"
        async with asyncpg.create_pool(dsn, min_size=0, max_size=1) as pool:
            outcome = await exam.run(pool, "N-1", 1, 500, limit=10)
    exam.criterion(
        f"each connection breaks: {ATTEMPTS} attempts, then its error arrives",
        isinstance(outcome.error, OSError | asyncpg.PostgresConnectionError)
        and len(met) == ATTEMPTS,
        f"{len(met)} attempts, {outcome}",
    )
