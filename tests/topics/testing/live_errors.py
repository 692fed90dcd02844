"""The errors of lesson 16: of fixtures, loops and templates."""

from __future__ import annotations

import tempfile
from pathlib import Path

import asyncpg
import pytest

from firedrill import pytests, servers

from ..raising import connect, raised_by

FIXTURES = """
import asyncpg
import pytest
import pytest_asyncio


@pytest.fixture
async def db_conn():
    yield


@pytest_asyncio.fixture(scope="session")
async def pool():
    yield


@pytest.mark.asyncio
async def test_plain(db_conn):
    pass


@pytest.mark.asyncio
async def test_loop(pool):
    pass
"""


async def raise_all(stack: servers.Stack) -> dict[str, BaseException]:
    admin = await asyncpg.connect(stack.postgres.dsn("postgres", user="postgres"))
    user = await asyncpg.connect(stack.postgres.dsn())
    raised = await _by_pytest()
    raised |= {
        "RollbackError": await raised_by(_fixture(user)),
        "template in use": await raised_by(admin.execute("create database copy template encore")),
    }
    await user.close()
    await admin.execute("alter database encore with allow_connections false")
    raised["not accepting connections"] = await raised_by(connect(stack.postgres.dsn()))
    await admin.close()
    return raised


async def _by_pytest() -> dict[str, BaseException]:
    """pytest's own failures, from the summary of a run."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        )
        Path(folder, "test_fixtures.py").write_text(FIXTURES)
        run = await pytests.Pytest(folder)("test_fixtures.py")
    plain, loop = (
        next(line for line in run.lines if name in line).partition("Failed: ")[2]
        for name in ("test_plain", "test_loop")
    )
    return {
        "async fixture without a plugin": pytest.fail.Exception(plain),
        "scope mismatch": pytest.fail.Exception(loop),
    }


async def _fixture(conn: asyncpg.Connection) -> None:
    async with conn.transaction():
        raise asyncpg.RollbackError
