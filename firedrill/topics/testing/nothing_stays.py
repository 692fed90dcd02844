"""Nothing stays: a fixture that rolls back, on both ways to PostgreSQL, and closes."""

from __future__ import annotations

from pathlib import Path

from ... import pytests
from ...checking.examination import Examination
from .bench import bench, changes, of, unexpected

TITLE = "nothing stays"

HINTS = (
    "Which of the fixture's lines undo what the test did, which undo more, and what is left when "
    "the test fails?",
    "Nothing needs to be deleted that was never committed. A fixture with params runs each test "
    "once for each of them.",
    "@pytest_asyncio.fixture(params=[…]), os.environ[request.param]; transaction = "
    "conn.transaction(), await transaction.start(), yield, then conn.is_in_transaction() has to "
    "be true still; in finally rollback and close.",
)

TRAPS = {
    "deletes": "Rows are gone that were there before the tests: somebody's data.",
    "stays": "What a test stored is still there when pytest has ended.",
    "raises": "Tests pass and are errors at the same time: the fixture raises, and what it raises "
    "arrives at pytest.",
    "one way": "The tests have run on one of the two ways only: what fails on the other is found "
    "in production.",
    "unclosed": "Nobody closes the connections; the garbage collector does, at some time.",
    "commits": "The code under test has committed by itself, the test is green, and its rows stay "
    "forever.",
}

ORDERLY = ("sells", "sells_again", "sql_error", "counts")
BACKWARDS = ("counts", "sql_error", "sells_again", "fails", "sells")


async def check(exam: Examination) -> None:
    async with bench(exam, "conftest.py", "test_given.py", "test_commits.py") as there:
        before = await there.state()
        first = await there.run("test_given.py", "-W", "default::ResourceWarning")
        between = await there.state()
        second = await there.run(*[f"test_given.py::test_{name}" for name in BACKWARDS])
        after = await there.state()
        ways = set(_read(there.folder / "ways"))
        commits = await there.run("test_commits.py")

    orderly = [f"test_{name}" for name in ORDERLY]
    for what, run in (
        ("four tests pass, and one fails as it is meant to", first),
        ("the same on the same database, from the last to the first", second),
    ):
        wrong = unexpected(run, *orderly)
        exam.criterion(what, not wrong, wrong[:160] or run.total)
    gone = min(after[name] - before[name] for name in before)
    exam.criterion("afterwards the database is as it was", after == before, changes(before, after))
    both = all(
        f"{name} {way}" in ways for name in ("sells", "fails") for way in ("direct", "pgbouncer")
    )
    seen = sorted({line.split()[1] for line in ways})
    exam.criterion(
        "each test runs directly and through PgBouncer",
        both,
        " and ".join(seen) or "no test has run",
    )
    unclosed = "unclosed connection" in first.output
    left = bool(of(commits, "FAILED")) and of(commits, "FAILED")[-1].startswith("test_closed")
    exam.criterion(
        "each connection is closed",
        not unclosed and not left,
        "ResourceWarning: unclosed connection"
        if unclosed
        else "open, after an error"
        if left
        else "closed",
    )
    noticed = _noticed(commits)
    exam.criterion(
        "code that ends the test's transaction by itself is an error of its test",
        noticed,
        "an error" if noticed else commits.total,
    )
    ran = bool(ways)
    raised = [line for line in of(first, "ERROR") if any(name in line for name in orderly)]
    if gone < 0:
        exam.trap("deletes")
    elif after != before or between != before:
        exam.trap("stays")
    elif ran and raised:
        exam.trap("raises")
    elif ran and not both:
        exam.trap("one way")
    elif ran and (unclosed or (left and noticed)):
        exam.trap("unclosed")
    elif ran and not noticed:
        exam.trap("commits")


def _noticed(run: pytests.Run) -> bool:
    """None of the tests of test_commits.py, on any way, has only passed."""
    passed, bad = (
        {line.split(" - ")[0] for line in of(run, *outcomes) if not line.startswith("test_closed")}
        for outcomes in (("PASSED",), ("FAILED", "ERROR"))
    )
    return bool(bad) and passed <= bad


def _read(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
