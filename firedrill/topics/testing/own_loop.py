"""Warm-up: an async fixture that pytest runs, in the loop of its test."""

from __future__ import annotations

from ...checking.examination import Examination
from .bench import bench, of, unexpected

TITLE = "a fixture that is run"

HINTS = (
    "Run it and read the first lines: has a test begun? Who runs an async fixture in strict mode?",
    'Lesson 16, "The fixture that fails twice": pytest-asyncio has its own decorator for '
    "async fixtures.",
    "@pytest_asyncio.fixture instead of @pytest.fixture. The scope stays the test's.",
)

TRAPS = {
    "not run": "pytest has refused the fixture: in strict mode, pytest-asyncio takes only the "
    "async fixtures that say so, and @pytest.fixture does not.",
    "another loop": "The connection was made in another event loop than that of the test.",
    "left open": "The tests are over, and connections are open: nothing follows the yield that "
    "closes them.",
}

WANTED = ("test_asks", "test_asks_again", "test_each_is_closed")


async def check(exam: Examination) -> None:
    async with bench(exam, "conftest.py", "test_asks.py") as there:
        run = await there.run("test_asks.py")
    wrong = unexpected(run, *WANTED)
    exam.criterion(
        "two tests pass, a third fails as it is meant to, and each connection is closed",
        not wrong,
        (of(run, "ERROR") or [wrong])[0][:160] or run.total,
    )
    if not wrong:
        return
    if "requested an async fixture" in run.output:
        exam.trap("not run")
    elif any(sign in run.output for sign in ("different loop", "ScopeMismatch", "loop is closed")):
        exam.trap("another loop")
    elif wrong.startswith("test_each_is_closed"):
        exam.trap("left open")
