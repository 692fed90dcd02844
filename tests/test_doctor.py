"""`firedrill doctor postgresql://...`: what it sees, that it changes nothing and keeps secrets."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from firedrill import doctor, servers
from firedrill.commands import main
from firedrill.servers import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with servers.open("embedded", postgres="17", pgbouncer="1.24") as stack:
        yield stack


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["doctor", *arguments]) == 0
    return capsys.readouterr().out


def asked(dsn: str, query: str) -> Any:
    async def ask() -> Any:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(ask())


def test_a_server_without_a_pooler(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, stack.postgres.dsn())
    assert re.search(r"server +PostgreSQL 17\.\d+", told)
    assert "pooler         none seen" in told
    assert re.search(r"max_connections +60\n", told)
    assert f"asyncpg {asyncpg.__version__}" in told


def test_a_pgbouncer_before_1_26_is_seen_and_its_console_tells_the_rest(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, stack.pgbouncer.dsn("transaction"))
    assert "one is in between" in told
    assert "its rows are left out" in told
    console = stack.pgbouncer.dsn("pgbouncer", user="postgres")
    told = said(capsys, stack.pgbouncer.dsn("transaction"), "--console", console)
    assert "PgBouncer 1.24.1" in told
    assert re.search(r"max_prepared_statements +200\n", told)


@pytest.mark.downloads
def test_a_pgbouncer_1_26_tells_its_version_and_mode(capsys: pytest.CaptureFixture[str]) -> None:
    with servers.open("embedded", postgres="18", pgbouncer="1.26") as newer:
        told = said(capsys, newer.pgbouncer.dsn("transaction"))
    assert "PostgreSQL 18" in told
    assert re.search(r"PgBouncer 1\.26\.\d+, pool_mode transaction", told)


def test_no_password_is_printed(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    console = stack.pgbouncer.dsn("pgbouncer", user="postgres")
    told = said(capsys, stack.pgbouncer.dsn("transaction"), "--console", console)
    assert stack.postgres.password not in told
    wrong = stack.postgres.dsn().replace(stack.postgres.password, "tell-nobody")
    assert main(["doctor", wrong]) == 1
    failed = capsys.readouterr()
    assert "password authentication failed" in failed.err
    assert "tell-nobody" not in failed.err + failed.out


def test_it_changes_nothing_and_could_not(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted by the server itself; and a statement that writes is refused by its transaction."""
    superuser = stack.postgres.dsn(user="postgres")
    counter = (
        "select tup_inserted + tup_updated + tup_deleted from pg_stat_database "
        "where datname = 'encore'"
    )
    before = asked(superuser, counter)
    assert doctor.server(stack.postgres.dsn()) == 0
    assert asked(superuser, counter) == before
    writes = "update seats set price_cents = price_cents + 1 where id = 1 returning 1"
    monkeypatch.setattr(doctor, "BACKEND", writes)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        doctor.server(stack.postgres.dsn())


def test_what_it_says_it_asked_is_what_the_server_was_asked(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    superuser = stack.postgres.dsn(user="postgres")
    asked(superuser, "alter system set log_statement = 'all'")
    asked(superuser, "select pg_reload_conf()")
    deadline = time.monotonic() + 5
    while asked(superuser, "show log_statement") != "all":
        assert time.monotonic() < deadline
    before = len(stack.postgres.log())
    told = said(capsys, stack.postgres.dsn())
    listed = told[told.index("Asked,") :].splitlines()[1:]
    logged = re.findall(r"(?:statement|execute [^:]*): (.*)", stack.postgres.log()[before:])
    assert [line.strip() for line in listed] == [
        line for line in logged if line not in ("BEGIN READ ONLY;", "ROLLBACK;")
    ]
    assert {"BEGIN READ ONLY;", "ROLLBACK;"} < set(logged)


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "postgresql://someone:secret@127.0.0.1:9/shop"]) == 1
    told = capsys.readouterr().err
    assert "No connection to 127.0.0.1:9/shop as someone" in told
    assert "secret" not in told


def test_what_is_no_dsn_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "shop.example.com"]) == 1
    assert "begins with postgresql://" in capsys.readouterr().err
