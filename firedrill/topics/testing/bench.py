"""The learner's file is run by real pytest, with files of the check's own and on its servers."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import pytests, servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...servers.server import SUPERUSER
from ...servers.stack import Stack

LIMIT = 15.0  # seconds that a run may take; a good one takes less than one
FILES = Path(__file__).with_name("files")
INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
WHAT = ("customers", "events", "seats", "orders", "payments")
COUNTS = ", ".join(f"(select count(*) from {name}) as {name}" for name in WHAT)
STATE = f"select {COUNTS}, (select count(*) from seats where status = 'sold') as sold"


@dataclass
class Bench:
    """A folder with the learner's file, and servers."""

    exam: Examination
    stack: Stack
    folder: Path
    admin: Any
    pytest: pytests.Pytest

    async def run(self, *arguments: str, limit: float = LIMIT, **variables: str) -> pytests.Run:
        begun = time.monotonic()
        run = await self.pytest(*arguments, limit=limit, **variables)
        self.exam.in_time(time.monotonic() - begun, limit)
        return run

    async def state(self) -> dict[str, int]:
        return dict(await self.admin.fetchrow(STATE))


@contextlib.asynccontextmanager
async def bench(exam: Examination, name: str, *files: str) -> AsyncIterator[Bench]:
    """The learner's file is `name`; `files` are the check's own, with the shop."""
    with tempfile.TemporaryDirectory(prefix="firedrill-tests-") as made, servers.open() as stack:
        folder = Path(made).resolve()
        (folder / "pytest.ini").write_text(INI)
        for file in ("shop.py", *files):
            shutil.copyfile(FILES / file, folder / file)
        shutil.copyfile(exam.file, folder / name)
        look = await admin(stack)
        pytest = pytests.Pytest(
            folder,
            DATABASE_URL=stack.postgres.dsn(),
            PGBOUNCER_URL=stack.pgbouncer.dsn("transaction"),
            ADMIN_URL=stack.postgres.dsn("postgres", user=SUPERUSER),
        )
        try:
            yield Bench(exam, stack, folder, look, pytest)
        finally:
            look.terminate()


def of(run: pytests.Run, *outcomes: str) -> list[str]:
    """The names of the tests with these outcomes, without file; the reason where there is one."""
    return [
        line.partition(" ")[2].partition("::")[2] or line.partition(" ")[2]
        for line in run.lines
        if line.startswith(outcomes)
    ]


def unexpected(run: pytests.Run, *wanted: str) -> str:
    """What is not as it should be in a run, in which `test_fails` fails and the others pass.

    Empty if all is, and those that are wanted have run.
    """
    if run.ended:
        return run.ended
    bad = [line for line in of(run, "FAILED", "ERROR") if not line.startswith("test_fails")]
    wrong = [line for line in of(run, "ERROR") if line.startswith("test_fails")]
    if bad or wrong:
        return (bad + wrong)[0]
    passed = {re.split(r"[\[ ]", name)[0] for name in of(run, "PASSED")}
    if missing := [name for name in wanted if name not in passed]:
        lines = run.total.strip().splitlines() or ["no output"]
        return f"{missing[0]} has not run: {lines[-1]}"
    return ""


def first(run: pytests.Run) -> str:
    """What a run shows that has not gone well, in a line."""
    bad = of(run, "FAILED", "ERROR")
    return (
        (bad[0][:160] if bad else run.ended or run.total.strip().splitlines()[-1][:160])
        if run.status
        else run.total
    )


def changes(before: dict[str, int], after: dict[str, int]) -> str:
    parts = [
        f"{after[name] - before[name]:+} {name}" for name in before if after[name] != before[name]
    ]
    return ", ".join(parts) or "nothing"
