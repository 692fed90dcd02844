"""A cursor behind PgBouncer: asyncpg names its statement, with the cache switched off as well."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.isolated import Process
from ...checking.outcome import Outcome
from .kept_statements import pgbouncer

TITLE = "free seats, without a name on the server"

HINTS = (
    "Which call of asyncpg's always names its statement, with the cache switched off as well?",
    "conn.cursor() does. What is it for here? It stops after the rows that were asked for.",
    "SQL can be told how many rows are wanted, and the number can be an argument of the query.",
)

TRAPS = {
    "a name again": "The statement has a name again, one that the function chose. It "
    "belongs to one server connection; another process may choose the same, or never find it.",
    "all rows": "More came over the wire than was asked for, to be thrown away here.",
    "still a cursor": "The statement still has a name that asyncpg has given it. Whether the next "
    "server connection knows that name already is a matter of luck.",
    "pasted": "The arguments became part of the query's text: what a request sends there is SQL.",
}

ALL_FREE = "select label from seats where event_id = $1 and status = 'free' order by id"
FREE = f"{ALL_FREE} limit 3"
# Stored from the last to the first: without ORDER BY, others come first.
MIX = """
    create index mix on seats (id desc);
    cluster seats using mix;
    drop index mix"""
ENOUGH = 300  # bytes for three rows, whatever their columns are
PASTED = (("4 or true", 3), (4, "3 offset 1"))  # each would find seats
CONNECT = """
_conn = await asyncpg.connect(_dsn, timeout=20, command_timeout=10, statement_cache_size=0)"""


async def check(exam: Examination) -> None:
    async with contextlib.AsyncExitStack() as processes:
        try:
            first, second = [
                await processes.enter_async_context(exam.in_process()) for _ in range(2)
            ]
        except (OSError, TypeError):
            exam.criterion(
                "the function's source text can be sent to another process",
                False,
                "it was not defined in a cell",
            )
            return
        async with pgbouncer(max_prepared_statements=0) as stack:
            dsn = stack.pgbouncer.dsn("transaction")
            for process in (first, second):
                await process.do(CONNECT, _dsn=dsn)
            look = await admin(stack)
            await look.execute(MIX)
            wanted = {
                event: str([row["label"] for row in await look.fetch(FREE, event)])
                for event in (1, 2)
            }
            await _two_processes(exam, first, second, wanted)
            await _wire(exam, stack)
            if not exam.fallen and all(met for _, met, _ in exam.criteria):
                await _unusual(exam, stack, look)


async def _two_processes(
    exam: Examination, first: Process, second: Process, wanted: dict[int, str]
) -> None:
    def is_right(outcome: Outcome, event: int) -> bool:
        return outcome.returned and outcome.value == wanted[event]

    async def ask(process: Process, event: int) -> Outcome:
        return await process.run(f"_conn, {event}, 3", limit=20)

    one, two = await ask(first, 1), await ask(second, 2)
    exam.criterion(
        "one process asks for three free seats of event 1",
        is_right(one, 1),
        _said(one),
        timed=one.hung,
    )
    exam.criterion(
        "another process asks for those of event 2",
        is_right(two, 2),
        _said(two),
        timed=two.hung,
    )
    one, two = await ask(first, 2), await ask(second, 1)
    exam.criterion(
        "each asks for the other event",
        is_right(one, 2) and is_right(two, 1),
        f"{_said(one)}; {_said(two)}",
        timed=one.hung or two.hung,
    )


async def _wire(exam: Examination, stack: servers.Stack) -> None:
    with wire.tap(stack) as tap:
        conn = await asyncpg.connect(tap.dsn("transaction"), statement_cache_size=0)
        tap.clear()
        outcome = await exam.run(conn, 4, 3)
        sent = [event for event in tap.events if event.side == "client"]
        conn.terminate()
    rows = sum(event.count for event in sent if event.message == "DataRow")
    size = sum(event.size for event in sent if event.message == "DataRow")
    names = {event.name for event in sent if event.message == "Parse" and event.name}
    exam.criterion(
        "three seats are asked for, and no more come over the wire",
        outcome.returned and rows <= 3 and size <= ENOUGH,
        f"{rows} row{'s' * (rows != 1)}, {size} bytes" if outcome.returned else str(outcome),
    )
    exam.criterion(
        "no statement has a name on the server",
        outcome.returned and not names,
        "a name was given" if names else "none has",
    )
    if any(not name.startswith("__asyncpg") for name in names):
        exam.trap("a name again")
    elif names:
        exam.trap("still a cursor")
    elif outcome.returned and (rows > 3 or size > ENOUGH):
        exam.trap("all rows")


async def _unusual(exam: Examination, stack: servers.Stack, look: Any) -> None:
    """Fewer free seats than asked for, none, and what a request may hold instead of a number."""
    conn = await asyncpg.connect(stack.pgbouncer.dsn("transaction"), statement_cache_size=0)
    everything = [row["label"] for row in await look.fetch(ALL_FREE, 1)]
    outcome = await exam.run(conn, 1, 1000)
    exam.criterion(
        f"1000 are asked for where {len(everything)} are free: these come",
        outcome.value == everything,
        f"{len(everything)} seats" if outcome.value == everything else str(outcome),
    )
    outcome = await exam.run(conn, 1_000_000, 3)
    exam.criterion("an event without seats: an empty list", outcome.value == [], str(outcome))
    found = [await exam.run(conn, *arguments) for arguments in PASTED]
    executed = [outcome for outcome in found if outcome.returned and outcome.value]
    exam.criterion(
        "SQL instead of a number is not executed",
        not executed,
        str(executed[0]) if executed else "refused",
    )
    if executed:
        exam.trap("pasted")
    conn.terminate()


def _said(outcome: Outcome) -> str:
    """What comes from another process is the text of a list."""
    return str(outcome.value) if outcome.returned else str(outcome)
