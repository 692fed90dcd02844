"""Stretch: old rows move to another table in batches, each of which is a transaction."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from ...servers.stack import Stack

TITLE = "a batch is a transaction"

HINTS = (
    "A cursor ends with its transaction, so a loop over one cursor cannot commit each batch. What "
    "finds the next batch without a cursor, when the rows before it have left the table?",
    "delete … returning and insert can be one statement, so no row is in both tables or in none. "
    "What do two runs do that choose the same rows, and a run whose row somebody has locked?",
    "with batch as (select id from visits where at < $1 limit 100 for update skip locked), moved "
    "as (delete from visits using batch where visits.id = batch.id returning visits.*) insert "
    "into old_visits select * from moved. Again until it moves none; conn.execute returns "
    "'INSERT 0 100'.",
)

TRAPS = {
    "one transaction": "More than 100 rows were moved in one transaction: it holds all their locks "
    "until its end, and a failure at the end undoes all of it.",
    "waits": "Somebody held some of the rows, and the run waited for them.",
    "twice": "Two runs chose the same rows, and both stored them.",
    "half": "It failed in the middle, and rows are in both tables, or in neither: the two "
    "statements are two transactions.",
}

OLD, NEW, BATCH = 500, 100, 100
BEFORE = "2026-06-01"
TABLES = f"""
    create table visits (id int primary key, at timestamptz not null, page text not null);
    create table old_visits (id int not null, at timestamptz not null, page text not null);
    create table batches (xact xid8 not null, rows bigint not null);
    grant all on visits, old_visits, batches to {ROLE};
    create function moved() returns trigger language plpgsql as $$
    begin
        insert into batches select pg_current_xact_id(), count(*) from new_rows;
        perform pg_advisory_xact_lock_shared(13);
        return null;
    end $$;
    create trigger moved after insert on old_visits referencing new table as new_rows
        for each statement execute function moved()"""
FILL = f"""
    set lock_timeout = '5s';
    truncate visits, old_visits, batches;
    insert into visits select n, '{BEFORE}'::timestamptz
        + case when n <= {OLD} then -n else n - {OLD} - 1 end * interval '1 minute', '/' || n
    from generate_series(1, {OLD + NEW}) n"""
# Fails when 200 rows have been moved, and some more are inserted, or deleted.
FAILS = """
    create or replace function fails() returns trigger language plpgsql as $$
    begin
        if (select count(*) from old_visits) >= 200 then
            raise exception 'the disk is full' using errcode = 'disk_full';
        end if;
        return case when tg_op = 'DELETE' then old else new end;
    end $$;
    create trigger fails before {} for each row execute function fails()"""
LARGEST = "select max(sum) from (select sum(rows) from batches group by xact) s"
# Visits that are in the tables otherwise than once.
AMISS = f"""
    select count(*) filter (where count = 0), count(*) filter (where count > 1) from (
        select count(v.id) from generate_series(1, {OLD + NEW}) n
        left join (select id from visits union all select id from old_visits) v on v.id = n
        group by n) c"""
HELD = (7, 150, 499)
WAITING = "select count(*) from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'"
LIMIT = 15.0  # seconds; a right answer needs a hundredth of them


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, holder = await admin(stack), await admin(stack)
        await look.execute(TABLES)
        before = await look.fetchval(f"select '{BEFORE}'::timestamptz")
        pools = [await asyncpg.create_pool(stack.postgres.dsn(), min_size=1) for _ in range(2)]
        run = _Runs(exam, look, holder, pools, before)
        if await run.alone():
            await run.beside_a_lock()
            await run.two_at_once()
            await run.failing(stack)
        for pool in pools:
            pool.terminate()


class _Runs:
    def __init__(
        self, exam: Examination, look: Any, holder: Any, pools: list[Any], before: Any
    ) -> None:
        self.exam, self.look, self.holder = exam, look, holder
        self.pools, self.before = pools, before

    async def count(self) -> int:
        return int(await self.look.fetchval("select count(*) from old_visits"))

    async def alone(self) -> bool:
        await self.look.execute(FILL)
        first = await self.exam.run(self.pools[0], self.before, limit=LIMIT)
        moved = await self.count()
        again = await self.exam.run(self.pools[0], self.before, limit=LIMIT)
        lost, double = await self.look.fetchrow(AMISS)
        largest = await self.look.fetchval(LARGEST) or 0
        right = first.returned and first.value == moved == OLD and not lost + double
        self.exam.criterion(
            f"{OLD} old visits and {NEW} new ones: the old ones are moved, and counted",
            right,
            f"{first}, {moved} moved, {lost} lost, {double} double",
        )
        if not right:
            return False
        self.exam.criterion(
            "the next run finds nothing to do, and returns 0",
            again.returned and again.value == 0 and type(again.value) is int,
            str(again),
        )
        self.exam.criterion(
            f"a transaction moves {BATCH} at most", largest <= BATCH, f"{largest} in one"
        )
        if largest > BATCH:
            self.exam.trap("one transaction")
        return bool(largest <= BATCH)

    async def beside_a_lock(self) -> None:
        await self.look.execute(FILL)
        await self.holder.execute("begin")
        await self.holder.fetch("select from visits where id = any($1) for update", HELD)
        running = self.exam.start(self.pools[0], self.before, limit=LIMIT)

        waits = False

        async def stands() -> bool:
            nonlocal waits
            waits = bool(await self.look.fetchval(WAITING, ROLE))
            return running.done() or waits

        await until(stands, "it ends, or waits for a lock", 5)
        over = running.done()
        await self.holder.execute("rollback")
        outcome = await running
        later = await self.exam.run(self.pools[0], self.before, limit=LIMIT)
        rest = len(HELD)
        self.exam.criterion(
            f"somebody holds {rest} of them: the others are moved, and those by the next run",
            over and (outcome.value, later.value) == (OLD - rest, rest),
            "it waited for them"
            if waits
            else f"{outcome}, then {later}"
            if over
            else "it had not ended after 5 s",
            timed=not over and not waits,
        )
        if waits:
            self.exam.trap("waits")

    async def two_at_once(self) -> None:
        """Both are held while they store their first batch."""
        await self.look.execute(FILL)
        await self.holder.execute("select pg_advisory_lock(13)")
        runs = [self.exam.start(pool, self.before, limit=LIMIT) for pool in self.pools]

        async def both_stand() -> bool:
            waiting = await self.look.fetchval(WAITING, ROLE)
            return bool(waiting + sum(run.done() for run in runs) >= len(runs))

        await until(both_stand, "both have begun", LIMIT)
        await self.holder.execute("select pg_advisory_unlock(13)")
        outcomes = [await run for run in runs]
        lost, double = await self.look.fetchrow(AMISS)
        values = [outcome.value for outcome in outcomes]
        numbers = all(outcome.returned and type(outcome.value) is int for outcome in outcomes)
        self.exam.criterion(
            "two runs at the same time: each visit is moved once, and counted once",
            numbers and sum(values) == OLD == await self.count() and not lost + double,
            f"{lost} lost, {double} double, "
            + (f"{sum(values)} counted" if numbers else "; ".join(map(str, outcomes))),
        )
        if double:
            self.exam.trap("twice")

    async def failing(self, stack: Stack) -> None:
        owner = await admin(stack)
        seen, right, amiss = [], True, 0
        for event in ("insert on old_visits", "delete on visits"):
            await owner.execute(FILL)
            await owner.execute(FAILS.format(event))
            outcome = await self.exam.run(self.pools[0], self.before, limit=LIMIT)
            moved = await self.count()
            lost, double = await owner.fetchrow(AMISS)
            await owner.execute(f"drop trigger fails on {event.split()[-1]}")
            rest = await self.exam.run(self.pools[0], self.before, limit=LIMIT)
            arrives = isinstance(outcome.error, asyncpg.DiskFullError)
            right = right and arrives and moved > 0 and not lost + double
            right = right and rest.returned and rest.value == OLD - moved
            amiss += lost + double
            seen.append(
                f"{'the error arrives' if arrives else outcome}, "
                f"{'some' if moved else 'none'} moved, {lost} lost, {double} double"
            )
        self.exam.criterion(
            "it fails after 200, at an insert or a delete: the error arrives, those stay moved, "
            "and the next run moves the rest",
            right,
            "; ".join(dict.fromkeys(seen)),
        )
        if amiss:
            self.exam.trap("half")
        owner.terminate()
