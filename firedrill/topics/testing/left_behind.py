"""Stretch: what a test leaves open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "what a test leaves open"

HINTS = (
    "Other tests and other people connect and leave at the same time: how do you tell the sessions "
    "of this test from theirs?",
    "A session can have a name that only this run knows; a DSN may carry it.",
    "Add ?application_name=<uuid4> to the DSN, run the test, and count these in pg_stat_activity.",
)

TRAPS = {
    "others": "Sessions of others were counted: the difference between before and after is not "
    "what this test has left.",
    "earlier": "Sessions that an earlier test has left were counted again: both have one name.",
}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        dsn = stack.postgres.dsn()
        opened: list[Any] = []

        async def clean(dsn: str) -> None:
            conn = await asyncpg.connect(dsn)
            assert await conn.fetchval("select 1") == 1
            await conn.close()

        async def leaves_two(dsn: str) -> None:
            opened.extend([await asyncpg.connect(dsn) for _ in range(2)])

        async def while_others_come(given: str) -> None:
            await clean(given)
            opened.extend([await asyncpg.connect(dsn) for _ in range(3)])

        async def fails(given: str) -> None:
            opened.append(await asyncpg.connect(given))
            raise AssertionError("the test has failed")

        scenes: dict[str, tuple[Callable[[str], Any], int]] = {
            "a test that closes what it opens: 0": (clean, 0),
            "one that leaves two: 2": (leaves_two, 2),
            "three others come meanwhile: 0": (while_others_come, 0),
            "a test without a fault, afterwards: 0": (clean, 0),
        }
        values = []
        for what, (test, right) in scenes.items():
            outcome = await exam.run(look, dsn, test)
            values.append(outcome.value)
            exam.criterion(what, outcome.value == right and outcome.returned, str(outcome))
        failed = await exam.run(look, dsn, fails)
        told = isinstance(failed.error, AssertionError)
        exam.criterion(
            "a test that fails: its error arrives",
            told,
            "it does" if told else str(failed),
        )
        if values[1:] == [2, 2, 2]:
            exam.trap("earlier")
        elif values[2] not in (0, None):
            exam.trap("others")
        for conn in opened:
            conn.terminate()
