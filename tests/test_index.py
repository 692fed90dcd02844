"""Each entry of the error index is fed the text of its error, raised live, in the ways in which users paste it."""

from __future__ import annotations

import asyncio
import re
import socket
import tempfile
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import patch

import asyncpg
import pytest
import trustme

from firedrill import faults, index, servers, tls, views, worker
from firedrill.expect import describe

ROOT = Path(__file__).parents[1]


async def raised_by(action: Awaitable[object]) -> BaseException:
    try:
        await action
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def connect(dsn: str | None = None, **options: object) -> Awaitable[object]:
    return asyncpg.connect(dsn, **options)      # type: ignore[no-any-return]


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    """By the id of its entry."""
    dsn = stack.postgres.dsn()
    lookup = socket.getaddrinfo
    raised: dict[str, BaseException] = {}

    async def note(entry: str, action: Awaitable[object]) -> None:
        raised[entry] = await raised_by(action)

    def with_password(password: str) -> str:
        return dsn.replace(stack.postgres.password, password)

    with stack.postgres.down():
        await note("refused", connect(dsn))
    with patch("socket.getaddrinfo", lambda host, *more, **options: [
            found for one in ("127.0.0.1", "127.0.0.2") for found in lookup(one, *more, **options)]):
        await note("refused on all addresses", connect("postgresql://encore:x@two.example:1/encore"))
    connection = await asyncpg.connect(dsn)
    query = asyncio.create_task(connection.fetchval("select pg_sleep(60)"))
    while "active" not in [row["state"] for row in (await views.backends(stack.postgres)).rows]:
        await asyncio.sleep(0.01)
    stack.postgres.kill()
    await note("closed in the middle", query)
    stack.postgres.start()
    await note("unknown host", connect(with_password("p@ss")))
    await note("port that is no number", connect(with_password("p#ss")))
    await note("query field of a DSN", connect(with_password("p?ss")))
    await note("bracket in a DSN", connect(with_password("p[ss")))
    # The one error that is not raised by a real fault here: no test switches this machine's network off.
    no_network = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    with patch("socket.getaddrinfo", side_effect=no_network):
        await note("resolver", connect("postgresql://encore:x@db.example/encore"))
    await note("scheme of a DSN", connect(dsn.replace("postgresql:", "postgresql+asyncpg:")))
    await note("unknown setting", connect(dsn + "?connect_timeout=5"))
    await note("setting through PgBouncer", connect(stack.pgbouncer.dsn(), server_settings={"jit": "off"}))
    await note("setting that is no string", connect(dsn, server_settings={"statement_timeout": 5000}))
    await note("wrong password", connect(with_password("guess")))
    await note("no such database", connect(stack.postgres.dsn("encroe")))
    await note("password through PgBouncer", connect(stack.pgbouncer.dsn(), password="guess"))
    await note("database of PgBouncer", connect(stack.pgbouncer.dsn("encroe")))
    with stack.postgres.paused():
        await note("connect timed out", connect(dsn, timeout=0.2))
    async with faults.starting_up(stack.postgres, 0.1):
        await note("cannot connect now", connect(dsn))
    await note("tls not offered", connect(dsn, ssl="require"))
    await tls.enable(stack.postgres, trustme.CA())
    await note("certificate", connect(dsn, ssl=True))
    with patch.dict("os.environ", HOME="/nonexistent"):
        await note("root certificate file", connect(dsn, ssl="verify-full"))
    await tls.require(stack.postgres)
    await note("tls required", connect(dsn, ssl=False))
    with tempfile.TemporaryDirectory() as folder:
        await note("socket missing", connect(host=folder, user="encore"))
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"{folder}/.s.PGSQL.5432")
        await note("socket left behind", connect(host=folder, user="encore"))
    return raised


async def raise_all_of_prepared_statements(stack: servers.Stack) -> dict[str, BaseException]:
    """Lesson 10, by the id of its entry: two processes behind a PgBouncer that keeps no statements."""
    dsn = stack.pgbouncer.dsn("transaction")
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    await console.execute("set max_prepared_statements = 0")
    first, second = [await worker.start(dsn=dsn) for _ in range(2)]
    for process in (first, second):
        await process("conn = await asyncpg.connect(dsn)")
    other = await asyncpg.connect(dsn)
    raised: dict[str, BaseException] = {}
    await first("await conn.fetchval('select $1::int', 1)")
    raised["statement already exists"] = await raised_by(second("await conn.fetchval('select 2')"))
    await other.execute("begin")
    raised["statement does not exist"] = await raised_by(first("await conn.fetchval('select $1::int', 1)"))
    await second("await conn.fetchval('select 1')")                     # __asyncpg_stmt_2__ on the second backend
    await other.execute("rollback")
    await first("await conn.fetchval('select $1::int + 1', 1)")         # the same name on the first
    raised["arguments of another statement"] = await raised_by(second("await conn.fetchval('select 1')"))
    await second("tuple(await conn.fetchrow('select 1, 2'))")           # __asyncpg_stmt_3__ on the first backend
    await other.execute("begin")
    await first("await conn.fetchval('select 3')")                      # the same name on the second
    await other.execute("rollback")
    raised["columns of another statement"] = await raised_by(first("await conn.fetchval('select 3')"))
    for process in (first, second):
        await process.stop()
    await console.execute("set max_prepared_statements = 200")
    conn = await asyncpg.connect(dsn)
    await conn.fetchval("select 1")
    await conn.execute("deallocate all")
    raised["statement did not exist"] = await raised_by(conn.fetchval("select 1"))
    raised["argument of SQLAlchemy's"] = await raised_by(_with_sqlalchemys_argument(dsn))
    raised["statement_cache_mode"] = await raised_by(connect(dsn, server_settings={"statement_cache_mode": "off"}))
    return raised


async def _with_sqlalchemys_argument(dsn: str) -> object:
    return await asyncpg.connect(dsn, prepared_statement_cache_size=0)


async def raise_all_of_pool_modes(stack: servers.Stack) -> dict[str, BaseException]:
    """Lesson 11, by the id of its entry: one server connection, or another client before this one."""
    dsn = stack.pgbouncer.dsn("transaction")
    console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user="postgres"))
    maker, other, holder = [await asyncpg.connect(dsn) for _ in range(3)]
    raised: dict[str, BaseException] = {}
    await maker.execute("create temp table basket (seat text); declare plan cursor with hold for select 1")
    raised["temporary table of another client"] = await raised_by(other.execute("create temp table basket (seat text)"))
    await holder.execute("begin")
    raised["temporary table missing"] = await raised_by(maker.fetch("table basket"))
    raised["cursor missing"] = await raised_by(maker.fetch("fetch 1 from plan"))
    sale = await asyncpg.connect(stack.pgbouncer.dsn("statement"))
    raised["statement mode"] = await raised_by(sale.execute("begin"))
    await holder.execute("rollback")
    await console.execute("set query_wait_timeout = 1")
    await console.execute("set default_pool_size = 1")
    await console.execute("reconnect")
    await holder.execute("begin")
    raised["query_wait_timeout"] = await raised_by(other.fetchval("select 1"))
    with stack.postgres.paused():
        raised["query_wait_timeout at log-in"] = await raised_by(connect(stack.pgbouncer.dsn("session")))
    await console.execute("set max_client_conn = 1")
    raised["max_client_conn"] = await raised_by(connect(dsn))
    return raised


@pytest.fixture(scope="module")
def raised() -> dict[str, BaseException]:
    found: dict[str, BaseException] = {}
    for raise_them in (raise_all, raise_all_of_prepared_statements, raise_all_of_pool_modes):
        with servers.open() as stack:
            found |= asyncio.run(raise_them(stack))
    return found


PASTES: dict[str, Callable[[BaseException], str]] = {
    "the line that expect prints": describe,
    "the last line of a traceback": lambda error: traceback.format_exception_only(error)[-1] if str(error) == "" else
    "".join(traceback.format_exception_only(error)),
    "a whole traceback": lambda error: "".join(traceback.format_exception(error)),
    "a log line": lambda error: "2026-11-22 09:00:01,123 ERROR shop.db " + "".join(traceback.format_exception(error)).strip(),
    "other names and numbers": lambda error: re.sub(r"\b\d{5}\b", "5432", describe(error)).replace("encore", "billing-prod"),
}


@pytest.mark.parametrize("paste", PASTES)
@pytest.mark.parametrize("entry", index.entries(), ids=lambda entry: entry.id)
def test_an_error_raised_live_is_found(entry: index.Entry, paste: str, raised: dict[str, BaseException]) -> None:
    assert entry.id in raised, f"no error is raised live for the entry {entry.id!r}: add it to raise_all"
    text = PASTES[paste](raised[entry.id])
    found = index.find(text)
    assert found, f"the index does not know:\n{text}"
    assert found[0].id == entry.id, text


def test_the_class_and_sqlstate_of_an_entry_are_those_raised(raised: dict[str, BaseException]) -> None:
    for entry in index.entries():
        error = raised[entry.id]
        assert describe(error).partition(":")[0].partition(" ")[0] in entry.classes, entry.id
        assert (getattr(error, "sqlstate", None) or "") == entry.sqlstate, entry.id


@pytest.mark.parametrize("entry", index.entries(), ids=lambda entry: entry.id)
def test_its_section_exists(entry: index.Entry) -> None:
    lesson = ROOT / f"notebooks/{entry.lesson}.ipynb"
    assert f'"## {entry.section}\\n"' in lesson.read_text(encoding="utf-8"), f"{lesson.name} has no heading {entry.section!r}"
    assert all((entry.means, entry.fix, entry.trap))


def test_an_unknown_text_finds_nothing() -> None:
    assert index.find("KeyError: 'seat'") == []
    assert index.find("") == []


def test_a_class_or_a_sqlstate_alone_finds_its_entries() -> None:
    assert [entry.id for entry in index.find("CannotConnectNowError")] == ["cannot connect now"]
    assert [entry.id for entry in index.find("28P01")] == ["wrong password"]
