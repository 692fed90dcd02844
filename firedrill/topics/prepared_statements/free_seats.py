"""A cursor behind PgBouncer: asyncpg names its statement, with the cache switched off as well."""

from __future__ import annotations

import contextlib

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
    "conn.cursor() does. What is it for here? It keeps rows back that nobody asked for.",
    "SQL can be told how many rows are wanted, and the number can be an argument of the query.",
)

TRAPS = {
    "a name of one's own": "The statement has a name again, one of its own choice: the second "
    "process chooses the same.",
    "all rows": "All free seats come over the wire, and most are thrown away here.",
    "try again": "It still names its statement. It tried until it met a connection on which the "
    "name was free.",
}

FREE = """
    select label from seats where event_id = $1 and status = 'free' order by id limit 3"""
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
            wanted = {
                event: str([row["label"] for row in await look.fetch(FREE, event)])
                for event in (1, 2)
            }
            await _two_processes(exam, first, second, wanted)
            await _wire(exam, stack)


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


def _said(outcome: Outcome) -> str:
    """What comes from another process is the text of a list."""
    return str(outcome.value) if outcome.returned else str(outcome)
