"""An index, the second time: last night's attempt has left one that is not valid."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...servers.server import Server
from .under_load import migrate

TITLE = "an index, the second time"

HINTS = (
    "Look at what last night left: `\\d orders` in psql, or pg_index.indisvalid.",
    "CREATE INDEX CONCURRENTLY waits for older transactions, and lets reads and writes pass while "
    "it waits. What does IF NOT EXISTS do when there is an index that is not valid? What does a "
    "lock_timeout do to one that is being built?",
    "`drop index concurrently if exists orders_placed_at`, then `create index concurrently "
    "orders_placed_at on orders (placed_at)`, both outside a transaction, with no lock_timeout. "
    "Or `reindex index concurrently`.",
)

TRAPS = {
    "queue": "Customers waited behind the migration, which waited behind a transaction that writes "
    "or reads orders.",
    "writers": "While an index is built without CONCURRENTLY, or a table is locked, no request can "
    "write to it. Here that was short: orders has 97 rows.",
    "invalid": "There is an index of that name, and PostgreSQL does not use it: it is not valid. "
    "IF NOT EXISTS only looks for the name.",
    "transaction": "CREATE and DROP INDEX CONCURRENTLY are several transactions, and cannot be "
    "part of one. Several statements in one execute() are one, too.",
    "aborted": "After an error the transaction takes no statement until it is rolled back.",
    "gave up": "A lock_timeout also ends the waiting for older transactions, in which reads and "
    "writes pass, and leaves an index that is not valid.",
    "killed": "Somebody's transaction was ended to make room, and what it had written is lost.",
}

NOTE_LOCKS = """
    create table ddl_locks (mode text);
    create function note_locks() returns event_trigger language plpgsql security definer as $$
    begin
        insert into ddl_locks select mode from pg_locks
        where pid = pg_backend_pid() and granted and relation = 'orders'::regclass
            and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                         'AccessExclusiveLock');
    end $$"""
TRIGGER = """
    create event trigger note_locks on ddl_command_end when tag in ('CREATE INDEX', 'REINDEX')
        execute function note_locks()"""
OTHER = "update orders set basket = basket where id = 90"
INDEX = """
    select indisvalid, pg_get_indexdef(indexrelid) as definition from pg_index
    where indexrelid = to_regclass('orders_placed_at')"""
BROKEN = """
    select count(*) from pg_index where indrelid = 'orders'::regclass and not indisvalid"""


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        await _last_nights_attempt(stack.postgres)
        look = await admin(stack)
        await look.execute(NOTE_LOCKS)
        await look.execute(TRIGGER)
        outcome, queue = await migrate(exam, stack.postgres, _order, OTHER, "the other transaction")
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
        left = await look.fetchval(BROKEN)
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


async def _order(conn: Any, number: int) -> None:
    await conn.execute("update orders set total_cents = total_cents where id = $1", 1 + number)


async def _last_nights_attempt(postgres: Server) -> None:
    """A CREATE INDEX CONCURRENTLY that was ended leaves an index that is not valid."""
    older, migration = [await asyncpg.connect(postgres.dsn()) for _ in range(2)]
    await older.execute("begin isolation level repeatable read; select 1 from orders")
    await migration.execute("set lock_timeout = '50ms'")
    with contextlib.suppress(asyncpg.LockNotAvailableError):
        await migration.execute("create index concurrently orders_placed_at on orders (placed_at)")
    await older.close()
    await migration.close()
