"""The lines of a learner's own code in a report."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from firedrill import servers
from firedrill.checking import blame


async def sell(conn: Any) -> None:
    await conn.execute("insert into seats values ($1, 5, 'Z1', 1700)", 401)


def test_asyncpgs_compiled_frames_are_not_the_learners() -> None:
    async def main(stack: servers.Stack) -> Exception:
        conn = await asyncpg.connect(stack.postgres.dsn())
        try:
            await sell(conn)
        except Exception as error:
            return error
        finally:
            await conn.close()
        raise AssertionError("seat 401 is there already")

    with servers.open() as stack:
        error = asyncio.run(main(stack))
    lines = blame.lines_of(error).splitlines()
    own = [line for line in lines if line.startswith("line ")]
    assert own[-1].partition(", ")[2].startswith("in sell: await conn.execute(")
    assert all(" in main:" in line or " in sell:" in line for line in own), own
    assert "UniqueViolationError" in lines[len(own)]
