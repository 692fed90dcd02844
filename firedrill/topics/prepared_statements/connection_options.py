"""Options for a PgBouncer that keeps no statements: which of them asyncpg has, and which helps."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from typing import Any

import asyncpg

from ... import servers
from ...checking.examination import Examination
from ...checking.isolated import Process
from ...checking.outcome import Outcome
from ...expect import describe
from ...load import Report
from .kept_statements import pgbouncer

TITLE = "options for a PgBouncer that keeps no statements"

HINTS = (
    "Which object remembers `__asyncpg_stmt_1__`, and believes that it is still there?",
    "asyncpg.connect() has an argument for the number of statements that it keeps for each "
    "connection.",
    "With 0 it keeps none, and sends each query again, without a name.",
)

TRAPS = {
    "not asyncpg's": "asyncpg has no argument prepared_statement_cache_size; SQLAlchemy's dialect "
    "has one.",
    "create_pool's": "create_pool() has this argument, and connect() has not. The service gives "
    "the same options to both.",
    "not PostgreSQL's": "server_settings are PostgreSQL's settings, and it has none of this name: "
    "it refuses it without PgBouncer, too.",
    "refused by PgBouncer": "PostgreSQL has this setting, but PgBouncer refuses most settings in "
    "the startup packet. Nor would this one stop asyncpg from using names.",
    "cache that is there": "asyncpg still caches statements: a later query sent a name that it "
    "found in its cache. A smaller cache, a shorter life or other names do not change that.",
}

SEAT = "select label from seats where id = $1"
EMAIL = "select email from customers where id = $1"
PATIENCE = 20  # seconds for a connection or an answer
OURS = {"timeout": PATIENCE, "command_timeout": PATIENCE / 2}  # the learner's options come later
LATE = f"no answer within {PATIENCE} s"


async def check(exam: Examination) -> None:
    outcome = await exam.run(plain=True)
    options = outcome.value
    if not isinstance(options, dict):
        exam.criterion("a dictionary of options for asyncpg comes back", False, str(outcome))
        return
    async with contextlib.AsyncExitStack() as processes:
        try:
            there = [await processes.enter_async_context(exam.in_process()) for _ in range(2)]
        except (OSError, TypeError):
            exam.criterion(
                "the function's source text can be sent to another process",
                False,
                "it was not defined in a cell",
            )
            return
        async with pgbouncer(max_prepared_statements=0) as stack:
            if await _both_take_them(exam, stack, options):
                dsn = stack.pgbouncer.dsn("transaction")
                await _each_gets_its_own(exam, dsn, there)
                await _under_load(exam, dsn, there)


async def _both_take_them(exam: Examination, stack: servers.Stack, options: Any) -> bool:
    dsn = stack.pgbouncer.dsn("transaction")
    outcome = await exam.call(_connect, dsn, options, limit=PATIENCE + 1)
    _say(exam, "asyncpg.connect() connects with them", outcome)
    if not outcome.returned:
        await _why(exam, stack, options, outcome.error)
        return False
    outcome = await exam.call(_make_pool, dsn, options, limit=PATIENCE + 1)
    _say(exam, "asyncpg.create_pool() connects with them", outcome)
    return outcome.returned


def _say(exam: Examination, what: str, outcome: Outcome) -> None:
    exam.criterion(
        what,
        outcome.returned,
        "connected" if outcome.returned else str(outcome),
        timed=isinstance(outcome.error, TimeoutError),
    )


async def _why(
    exam: Examination, stack: servers.Stack, options: Any, error: BaseException | None
) -> None:
    if unknown := re.search(r"unexpected keyword argument '(\w+)'", str(error)):
        if unknown[1] == "prepared_statement_cache_size":
            exam.trap("not asyncpg's")
        elif unknown[1] in inspect.signature(asyncpg.create_pool).parameters:
            exam.trap("create_pool's")
    elif "unsupported startup parameter" in str(error):
        direct = await exam.call(_connect, stack.postgres.dsn(), options, limit=PATIENCE + 1)
        if direct.returned:
            exam.trap("refused by PgBouncer")
        elif isinstance(direct.error, asyncpg.UndefinedObjectError):
            exam.trap("not PostgreSQL's")


async def _connect(dsn: str, options: dict[str, Any]) -> None:
    conn = await asyncpg.connect(dsn, **(OURS | options))
    await conn.close()


async def _make_pool(dsn: str, options: dict[str, Any]) -> None:
    async with asyncpg.create_pool(dsn, **({"min_size": 1, "max_size": 2} | OURS | options)):
        pass


async def _each_gets_its_own(exam: Examination, dsn: str, there: list[Process]) -> None:
    other = await asyncpg.connect(dsn)
    box_office, web_shop = there
    for process in there:
        await process.do(
            "_settings = _ours | _learners_code()\n"
            "_conn = await asyncpg.connect(_dsn, **_settings)",
            _dsn=dsn,
            _ours=OURS,
        )
    seen = [await _answer(box_office, SEAT)]
    await other.execute("begin")
    seen += [await _answer(web_shop, EMAIL), await _answer(box_office, SEAT)]
    await other.execute("rollback")
    await other.close()
    wanted = ["A1", "customer1@example.com", "A1"]
    exam.criterion(
        "two processes, each on the other's backend, get their own answers",
        seen == wanted,
        ", ".join(seen),
        timed=LATE in seen,
    )
    if seen[-1] == wanted[1] or "prepared statement" in " ".join(seen):
        exam.trap("cache that is there")


async def _answer(process: Process, query: str) -> str:
    try:
        return str(await asyncio.wait_for(process.do(f"await _conn.fetchval({query!r}, 1)"), 20))
    except TimeoutError:
        return LATE
    except Exception as error:
        return describe(error).splitlines()[0]


async def _under_load(exam: Examination, dsn: str, there: list[Process]) -> None:
    """In the processes that have the learner's function, whose options cannot always be pickled."""
    what = "240 calls of two processes under load"
    source = f"from firedrill import load as _load\n{inspect.getsource(_work)}"
    connect = "_runs = await _load.prepare(_work, _dsn, _settings, 3, 40, _first)"
    total = Report()
    try:
        async with asyncio.timeout(3 * PATIENCE):
            for number, process in enumerate(there):
                await process.do(f"{source}\n{connect}", _first=120 * number)
            for part in await asyncio.gather(*(process.do("await _runs()") for process in there)):
                total.right += part.right
                total.wrong += part.wrong
                total.errors += part.errors
    except TimeoutError:
        exam.criterion(what, False, f"not finished within {3 * PATIENCE} s", timed=True)
        return
    good = total.right == total.total == 240
    found = (
        f"{total.right} right, {total.wrong} wrong without an error, {total.errors.total()} errors"
    )
    exam.criterion(what, good, "all are right" if good else found)
    if total.errors["asyncpg.InvalidSQLStatementNameError"]:
        exam.trap("cache that is there")


async def _work(conn: Any, number: int) -> bool:
    """Long texts and short ones: a cache can be limited by the length of the text."""
    if number % 2:
        return bool(await conn.fetchval(f"select {number % 7}") == number % 7)
    return bool(
        await conn.fetchval(f"select {number % 7} + 1000 * $1::int", number)
        == number % 7 + 1000 * number
    )
