"""`Drill`: 2 to 4 `Task`s on one piece of the ticket shop's code, run against live servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import course, progress
from ..expect import describe
from . import exercise_files, waiting
from .examination import Examination
from .pace import Pace
from .report import Report, Status, wrapped
from .sandbox import Sandbox

TOO_BUSY = (
    "This machine is too busy to judge code by how long it takes: {pace}. "
    "Run the check again when less else is running."
)

PATIENCE = 20  # seconds after which a check says what it is doing


@dataclass(frozen=True, eq=False)
class Task:
    """One module of a topic: TITLE, HINTS, TRAPS, and `check`, which gets an `Examination`.

    The three hints go from where to look, over what is going on, to nearly the answer.
    """

    module: ModuleType
    number: int
    exercise: str  # "02_pools"
    _shown: list[int] = field(default_factory=lambda: [0])
    _opened: float = field(default_factory=time.monotonic)

    @property
    def title(self) -> str:
        return str(self.module.TITLE)

    @property
    def hints(self) -> tuple[str, str, str]:
        hints: tuple[str, str, str] = self.module.HINTS
        return hints

    @property
    def traps(self) -> dict[str, str]:
        traps: dict[str, str] = self.module.TRAPS
        return traps

    def __repr__(self) -> str:
        return f"<Task {self.number}, {self.title}: await drill[{self.number}].check(...)>"

    def check(self, code: Callable[..., Any] | Path) -> Checking:
        """Run `code`, a function or the file that a cell has written, against its own servers.

        Await the result: `await drill[1].check(my_function)` gives a `Report`.
        """
        return Checking(self, code)

    async def _check(self, code: Callable[..., Any] | Path) -> Report:
        if isinstance(code, Path) and not code.is_file():
            what = "the starter's cell has written its file"
            return self._report("failed", ((what, False, f"there is no {code}"),))
        if not isinstance(code, Path) and not callable(code):
            what = "the starter's function is given to check()"
            return self._report("failed", ((what, False, f"got {type(code).__name__}"),))
        if exercise_files.is_starter(code, self.exercise, self.number):
            return self._report("not attempted")

        missed: list[str] = []
        doing: list[str] = []
        tokens = waiting.expired.set(missed), waiting.activity.set(doing)
        telling = asyncio.ensure_future(self._tell(doing))
        try:
            with Sandbox() as sandbox, Pace() as pace:
                exam = Examination(code, self.traps, sandbox)
                try:
                    await self.module.check(exam)
                except (asyncio.CancelledError, KeyboardInterrupt):
                    return self._report("interrupted", tuple(exam.criteria))
                except Exception as error:  # code that wrecks its servers is not our traceback
                    exam.criterion("the check came to its end", False, describe(error), timed=True)
                finally:
                    await sandbox.clean_up()
        finally:
            telling.cancel()
            waiting.expired.reset(tokens[0])
            waiting.activity.reset(tokens[1])

        passed = not exam.fallen and all(met for _, met, _ in exam.criteria)
        if not passed and (exam.is_timed or missed) and pace.look():
            reason = TOO_BUSY.format(pace=pace)
            seen = tuple(exam.criteria), tuple(exam.fallen)
            return self._report("could not judge", *seen, reason=reason)
        if passed and Path.cwd().name != "solutions":  # whoever runs the solution has not solved it
            seconds = time.monotonic() - self._opened
            progress.record(self.exercise, self.number, seconds, self._shown[0])
        return self._report(
            "passed" if passed else "failed",
            tuple(exam.criteria),
            tuple(exam.fallen),
            error="" if passed else exam.error,
        )

    async def _tell(self, doing: list[str]) -> None:
        """A check that takes long says what it is doing. A stored output does not depend on it."""
        while Path.cwd().name != "solutions":
            await asyncio.sleep(PATIENCE)
            what = doing[-1] if doing else "your code has ended"
            print(f"Task {self.number} is still being checked: waiting until {what}.", flush=True)

    def hint(self, number: int | None = None) -> None:
        """Print the next of the three hints, or the one with this number."""
        self._shown[0] = min(number or self._shown[0] + 1, len(self.hints))
        is_last = self._shown[0] == len(self.hints)
        last = " That was the last hint; the solution is in solutions/." if is_last else ""
        text = f"Hint {self._shown[0]} of {len(self.hints)}. {self.hints[self._shown[0] - 1]}{last}"
        print("\n".join(wrapped(text, "  ")))

    def _report(
        self,
        status: Status,
        criteria: tuple[tuple[str, bool, str], ...] = (),
        traps: tuple[str, ...] = (),
        error: str = "",
        reason: str = "",
    ) -> Report:
        texts = tuple(self.traps[name] for name in traps)
        return Report(self.number, self.title, status, criteria, traps, texts, error, reason)


class Checking:
    """A check that has not begun. It begins when it is awaited."""

    def __init__(self, task: Task, code: Callable[..., Any] | Path) -> None:
        self._task, self._code = task, code

    def __await__(self) -> Generator[Any, None, Report]:
        return self._task._check(self._code).__await__()

    def __repr__(self) -> str:
        return (
            f"Nothing was checked: write `await` before drill[{self._task.number}].check(...), "
            "then run this cell again."
        )


class Drill:
    """`drill[1]` is its first task. Tasks are numbered in the order in which they are given."""

    def __init__(self, title: str, tasks: tuple[ModuleType, ...]) -> None:
        slug = tasks[0].__name__.split(".")[-2]
        lesson = course.lesson(slug)
        self.slug, self.name = slug, lesson.name
        self.title = f"Exercise {lesson.number:02}: {title}"
        self.tasks = tuple(
            Task(module, number, lesson.name) for number, module in enumerate(tasks, 1)
        )

    def __getitem__(self, number: int) -> Task:
        if not 1 <= number <= len(self.tasks):
            raise IndexError(f"{self.name} has the tasks 1 to {len(self.tasks)}")
        return self.tasks[number - 1]

    def __repr__(self) -> str:
        finished = progress.done()
        return "\n".join(
            [
                self.title,
                *(
                    f"  {'✔' if (self.name, task.number) in finished else '–'}  "
                    f"Task {task.number}: {task.title}"
                    for task in self.tasks
                ),
            ]
        )
