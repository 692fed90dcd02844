"""The errors of lesson 16: of fixtures, loops and templates."""

from __future__ import annotations

import tempfile
from pathlib import Path

import asyncpg
import pytest

from firedrill import pytests, servers
from firedrill.checking.connections import admin

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


@pytest.mark.asyncio
async def test_asks(event_loop):
    pass
"""


async def async_fixture_without_a_plugin(stack: servers.Stack) -> BaseException:
    return await _failure_of("test_plain")


async def scope_mismatch(stack: servers.Stack) -> BaseException:
    return await _failure_of("test_loop")


async def event_loop_not_found(stack: servers.Stack) -> BaseException:
    return await _failure_of("fixture 'event_loop' not found", "--tb=short")


async def RollbackError(stack: servers.Stack) -> BaseException:
    conn = await asyncpg.connect(stack.postgres.dsn())

    async def fixture() -> None:
        async with conn.transaction():
            raise asyncpg.RollbackError

    error = await raised_by(fixture())
    await conn.close()
    return error


async def template_in_use(stack: servers.Stack) -> BaseException:
    look = await admin(stack, "postgres")
    user = await asyncpg.connect(stack.postgres.dsn())
    error = await raised_by(look.execute("create database copy template encore"))
    await user.close()
    await look.close()
    return error


async def not_accepting_connections(stack: servers.Stack) -> BaseException:
    look = await admin(stack, "postgres")
    await look.execute("alter database encore with allow_connections false")
    error = await raised_by(connect(stack.postgres.dsn()))
    await look.execute("alter database encore with allow_connections true")
    await look.close()
    return error


async def _failure_of(text: str, *options: str) -> BaseException:
    """pytest's own failure, from the output of a run: the line that has this text."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        )
        Path(folder, "test_fixtures.py").write_text(FIXTURES)
        run = await pytests.Pytest(folder)("test_fixtures.py", *options)
    line = next(line for line in [*run.lines, *run.output.splitlines()] if text in line)
    return pytest.fail.Exception(line.partition("Failed: ")[2] or line.partition("E ")[2].strip())
