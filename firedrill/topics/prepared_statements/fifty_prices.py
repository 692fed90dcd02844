"""Exercise 10: Encore's order service behind a PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import textwrap
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from ... import load, servers, wire, worker
from ...expect import describe
from ...servers import Stack
from ...servers.server import SUPERUSER
from ...checking.outcome import Outcome
from ...checking.examination import Examination

NAME = "10_prepared_statements"
SEAT = "select label from seats where id = $1"
EMAIL = "select email from customers where id = $1"
FREE = "select label from seats where event_id = $1 and status = 'free' order by id"


@contextlib.asynccontextmanager
async def _pgbouncer(max_prepared_statements: int) -> AsyncIterator[Stack]:
    with servers.open() as stack:
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute(f"set max_prepared_statements = {max_prepared_statements}")
        await console.close()
        yield stack


@contextlib.asynccontextmanager
async def _processes(dsn: str, options: Any) -> AsyncIterator[list[worker.Worker]]:
    """Two, each with a connection `conn`."""
    processes = [await worker.start(dsn=dsn, options=options) for _ in range(2)]
    try:
        for process in processes:
            await process(
                "conn = await asyncpg.connect(dsn, timeout=20, command_timeout=10, **options)"
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            await process.stop()


# Task 1: options for a PgBouncer that keeps no statements


async def _options(exam: Examination) -> None:
    outcome = await exam.run(plain=True)
    options = outcome.value
    if not isinstance(options, dict):
        exam.criterion("a dictionary of options for asyncpg comes back", False, str(outcome))
        return
    async with _pgbouncer(0) as stack:
        dsn = stack.pgbouncer.dsn("transaction")
        try:
            connection = await asyncpg.connect(dsn, timeout=20, **options)
            await connection.close()
        except Exception as error:
            exam.criterion("asyncpg connects with them", False, describe(error).splitlines()[0])
            if isinstance(error, TypeError):
                exam.trap("not asyncpg's")
            elif "unsupported startup parameter" in str(error):
                exam.trap("not PostgreSQL's")
            return
        exam.criterion("asyncpg connects with them", True, "connected")

        other = await asyncpg.connect(dsn)
        async with _processes(dsn, options) as (box_office, web_shop):
            seen = [await _answer(box_office, f"await conn.fetchval({SEAT!r}, 1)")]
            await other.execute("begin")
            seen += [
                await _answer(web_shop, f"await conn.fetchval({EMAIL!r}, 1)"),
                await _answer(box_office, f"await conn.fetchval({SEAT!r}, 1)"),
            ]
            await other.execute("rollback")
        wanted = ["A1", "customer1@example.com", "A1"]
        exam.criterion(
            "two processes, each on the other's backend, get their own answers",
            seen == wanted,
            ", ".join(seen),
        )
        report = await load.run(_work, dsn=dsn, processes=2, tasks=3, times=40, **options)
        good = report.right == report.total == 240
        exam.criterion(
            "240 calls of two processes under load",
            good,
            "all are right"
            if good
            else f"{report.right} right, {report.wrong} wrong without an error, {report.errors.total()} errors",
        )
        if seen != wanted:
            exam.trap("cache that is there")


async def _work(conn: Any, number: int) -> bool:
    return bool(
        await conn.fetchval(f"select {number % 7} + 1000 * $1::int", number)
        == number % 7 + 1000 * number
    )


async def _answer(process: worker.Worker, source: str) -> str:
    try:
        return str(await asyncio.wait_for(process(source), 20))
    except TimeoutError:
        return "no answer within 20 s"
    except Exception as error:
        return describe(error).splitlines()[0]


# Task 2: a cursor behind PgBouncer


async def _free_seats(exam: Examination) -> None:
    try:
        source = textwrap.dedent(inspect.getsource(exam.code))
    except (OSError, TypeError):
        exam.criterion(
            "the function's source text can be sent to another process",
            False,
            "it was not defined in a cell",
        )
        return
    async with _pgbouncer(0) as stack:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        wanted = {
            event: [row["label"] for row in await admin.fetch(f"{FREE} limit 3", event)]
            for event in (1, 2)
        }
        await admin.close()
        call = f"await {exam.code.__name__}(conn, {{}}, 3)"
        dsn = stack.pgbouncer.dsn("transaction")
        async with _processes(dsn, {"statement_cache_size": 0}) as processes:
            for process in processes:
                await _answer(process, source)
            seen = [
                await _answer(process, call.format(event))
                for event, process in enumerate(processes, 1)
            ]
            again = [
                await _answer(process, call.format(3 - event))
                for event, process in enumerate(processes, 1)
            ]
        exam.criterion(
            "one process asks for three free seats of event 1", seen[0] == str(wanted[1]), seen[0]
        )
        exam.criterion(
            "another process asks for those of event 2", seen[1] == str(wanted[2]), seen[1]
        )
        exam.criterion(
            "each asks for the other event",
            again == [str(wanted[2]), str(wanted[1])],
            "; ".join(again),
        )
        with wire.tap(stack) as tap:
            connection = await asyncpg.connect(tap.dsn("transaction"), statement_cache_size=0)
            tap.clear()
            outcome = await exam.run(connection, 4, 3)
            sent = [event for event in tap.events if event.side == "client"]
            connection.terminate()
        rows = sum(event.count for event in sent if event.message == "DataRow")
        names = {event.name for event in sent if event.message == "Parse" and event.name}
        exam.criterion(
            "three seats are asked for, and three rows come over the wire",
            outcome.returned and rows == 3,
            f"{rows} rows" if outcome.returned else str(outcome),
        )
        exam.criterion(
            "no statement has a name on the server",
            outcome.returned and not names,
            "a name was given" if names else "none has",
        )
        if any(not name.startswith("__asyncpg") for name in names):
            exam.trap("a name of one's own")
        elif names:
            exam.trap("try again")
        elif outcome.returned and rows > 3:
            exam.trap("all rows")


# Task 3: fewer round trips


async def _prices(exam: Examination) -> None:
    labels = [f"{row}{number}" for row in "ABCDE" for number in range(1, 11)]
    odd = ["A1", "no such seat", "O'Hara", "A1"]
    async with _pgbouncer(200) as stack:
        admin = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        prices = dict(await admin.fetch("select label, price_cents from seats where event_id = 1"))
        await admin.close()
        with wire.tap(stack) as tap:
            connection = await asyncpg.connect(
                tap.dsn("transaction"), server_settings={"application_name": "shop"}
            )
            outcome = await exam.run(connection, 1, labels)
            good = outcome.value == [prices[one] for one in labels]
            exam.criterion(
                "the prices of 50 seats, in the order of their labels",
                good,
                "right" if good else _seen(outcome),
            )
            if outcome.error and "another operation is in progress" in str(outcome.error):
                exam.trap("at once")
            outcome = await exam.run(connection, 1, odd)
            good = outcome.value == [prices["A1"], None, None, prices["A1"]]
            exam.criterion(
                "a label twice, one that does not exist (None), and one with a quote in it",
                good,
                "right" if good else _seen(outcome),
            )
            if isinstance(outcome.error, asyncpg.PostgresSyntaxError):
                exam.trap("pasted")
            if outcome.returned:
                await _wire_of_prices(exam, tap, connection, labels)
            connection.terminate()


async def _wire_of_prices(
    exam: Examination, tap: wire.Tap, connection: asyncpg.Connection, labels: list[str]
) -> None:
    tap.clear()
    await exam.run(connection, 1, labels)
    trips = tap.round_trips("shop")
    rows = sum(
        event.count for event in tap.events if event.side == "client" and event.message == "DataRow"
    )
    tap.clear()
    await exam.run(connection, 1, labels[:-1])
    parsed = any(event.message == "Parse" for event in tap.events if event.side == "client")
    exam.criterion(
        "50 seats, asked for again: at most 2 round trips",
        1 <= trips <= 2,
        "1 round trip" if trips == 1 else f"{trips} round trips",
    )
    exam.criterion("no more rows come than seats were asked for", rows <= 50, f"{rows} rows")
    exam.criterion(
        "49 seats are asked for with the same statement",
        not parsed,
        "parsed anew" if parsed else "the same",
    )
    if rows > 50:
        exam.trap("whole event")
    elif parsed and not exam.fallen and trips <= 2:
        exam.trap("a statement for each size")


def _seen(outcome: Outcome) -> str:
    return "others came back" if isinstance(outcome.value, list) else str(outcome)


DRILL = Drill(
    NAME,
    "Exercise 10: Encore's order service behind PgBouncer",
    (
        Task(
            1,
            "options for a PgBouncer that keeps no statements",
            _options,
            drill=NAME,
            hints=(
                "Which object remembers `__asyncpg_stmt_1__`, and believes that it is still there?",
                "asyncpg.connect() has an argument for the number of statements that it keeps for each connection.",
                "With 0 it keeps none, and sends each query anew, without a name.",
            ),
            traps={
                "not asyncpg's": "asyncpg.connect() has no argument of this name. Many copy prepared_statement_cache_size, which is "
                "SQLAlchemy's.",
                "not PostgreSQL's": "server_settings are PostgreSQL's, and this is none of them: PgBouncer refuses it, and so would "
                "PostgreSQL.",
                "cache that is there": "There is still a cache, a smaller or a shorter one. The second query comes soon, and finds its "
                "name in it.",
            },
        ),
        Task(
            2,
            "free seats, without a name on the server",
            _free_seats,
            drill=NAME,
            hints=(
                "Which call of asyncpg's always names its statement, with the cache switched off as well?",
                "conn.cursor() does. What is it for here? It keeps rows back that nobody asked for.",
                "SQL can be told how many rows are wanted, and the number can be an argument of the query.",
            ),
            traps={
                "a name of one's own": "The statement has a name again, one of its own choice: the second process chooses the same.",
                "all rows": "All free seats come over the wire, and most are thrown away here.",
                "try again": "It still names its statement. It tried until it met a connection on which the name was free.",
            },
        ),
        Task(
            3,
            "fifty prices in two round trips",
            _prices,
            drill=NAME,
            hints=(
                "Count what the starter sends: how often does it wait for PgBouncer?",
                "PostgreSQL takes an array as one argument, and compares with all of its elements.",
                "where label = any($2), then put the rows into the order of the labels in Python: a dictionary does it.",
            ),
            traps={
                "at once": "A connection does one thing at a time: of fifty queries at once on one connection, the first is answered.",
                "whole event": "Every seat of the event comes over the wire, and half of them are thrown away here.",
                "a statement for each size": "The query's text depends on how many labels there are: each size is a statement of its "
                "own, in asyncpg's cache, in PgBouncer's and on the server.",
                "pasted": "The labels became part of the query's text. One with a quote in it is SQL now.",
            },
        ),
    ),
)
