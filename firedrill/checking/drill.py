"""`Drill`: a warm-up, 2 to 4 `Task`s on one piece of the ticket shop's code, and a stretch."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

from .. import course, progress
from ..servers.errors import Unavailable
from . import exercise_files, model, replay, shop
from .attempt import Attempt
from .model import Model, Unsolved
from .report import Criterion, Figure, Report, Status, wrapped
from .shop import Shop
from .standing import Stand

T = TypeVar("T")
Kind = Literal["warm-up", "task", "stretch"]


@dataclass(eq=False)
class Task:
    """One module of a topic: TITLE, HINTS, TRAPS, and `check`, which gets an `Examination`.

    The three hints go from where to look, over what is going on, to nearly the answer.
    """

    module: ModuleType
    number: int  # 0 is the warm-up
    exercise: str  # "02_pools"
    kind: Kind = "task"
    _shown: int = 0  # hints
    _attempt: Attempt | None = None  # the latest one
    _opened: float = field(default_factory=time.monotonic)

    @property
    def label(self) -> str:
        return f"Task {self.number}" if self.kind == "task" else self.kind.capitalize()

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
        return f"<{self.label}, {self.title}: await drill[{self.number}].check(...)>"

    def check(self, code: Callable[..., Any] | Path) -> Checking[Report]:
        """Run `code`, a function or the file that a cell has written, against its own servers.

        Await the result: `await drill[1].check(my_function)` gives a `Report`.
        """
        return Checking(f"drill[{self.number}].check(...)", lambda: self._check(code))

    def open(self) -> Checking[Shop]:
        """Run the check that failed again, and halt it there: `shop = await drill[1].open()`.

        The servers go on running, with the sessions, locks and customers that they have then.
        Raises `Unavailable` where the last check has not failed.
        """
        return Checking(f"drill[{self.number}].open()", self._open)

    async def _open(self) -> Shop:
        if self._attempt is None or self._attempt.status not in ("failed", "could not judge"):
            raise Unavailable(
                "open() shows how a check fails, and the last one did not: "
                f"await drill[{self.number}].check(...) first."
            )
        met = [met for _, met, _ in self._attempt.exam.criteria]
        stand = Stand(met.index(False) if False in met else len(met))
        found = Shop(Attempt(self.module, self.label, self._attempt.code, stand), stand)
        await found.open()
        return found

    def replay(self) -> None:
        """Draw what your code did before the first criterion of the last check that was not met.

        The timeline of its pools, where somebody waited, and what it sent and was answered. Calls
        through asyncpg, in this process. Raises `Unavailable` where nothing was checked.
        """
        if self._attempt is None:
            raise Unavailable(f"Nothing was checked yet: await drill[{self.number}].check(...)")
        replay.draw(self._attempt.traffic)

    async def _check(self, code: Callable[..., Any] | Path) -> Report:
        if isinstance(code, Path) and not code.is_file():
            what = "the starter's cell has written its file"
            return self._report("failed", ((what, False, f"there is no {code}"),))
        if not isinstance(code, Path) and not callable(code):
            what = "the starter's function is given to check()"
            return self._report("failed", ((what, False, f"got {type(code).__name__}"),))
        if exercise_files.is_starter(code, self.exercise, self.number):
            return self._report("not attempted")
        await shop.close()
        self._attempt = attempt = Attempt(self.module, self.label, code)
        await attempt.run()
        figures = self._figures(attempt) if attempt.status == "passed" else None
        return self._report(
            attempt.status,
            tuple(attempt.exam.criteria),
            tuple(attempt.exam.fallen) if attempt.status != "interrupted" else (),
            attempt.exam.error if attempt.status == "failed" else "",
            attempt.reason,
            figures,
            self._ways(attempt),
        )

    def _ways(self, attempt: Attempt) -> tuple[str, ...]:
        ways = []
        if attempt.traffic.kept:
            ways.append(f"What your code said until then: drill[{self.number}].replay()")
        if attempt.stacks:
            ways.append(f"The shop, left as it fails: shop = await drill[{self.number}].open()")
        return tuple(ways)

    def _figures(self, attempt: Attempt) -> tuple[Figure, ...] | None:
        """Of a pass, which is recorded: running the solution does not solve the task."""
        mine = attempt.traffic.figures
        if Path.cwd().name == "solutions":
            model.note(self.exercise, self.number, mine)
            return None
        progress.record(self.exercise, self.number, time.monotonic() - self._opened, self._shown)
        models = model.figures(self.exercise, self.number)
        return tuple(
            (what, f"{count}", " to ".join(f"{one}" for one in sorted({*models.get(what, ())})))
            for what, count in mine.items()
            if count or any(models.get(what, ()))
        )

    def hint(self, number: int | None = None) -> None:
        """Print the next of the three hints, or the one with this number."""
        self._shown = min(number or self._shown + 1, len(self.hints))
        is_last = self._shown == len(self.hints)
        spoil = f"drill[{self.number}].solution(spoil=True)"
        last = f" That was the last hint. The model answer: {spoil}" if is_last else ""
        text = f"Hint {self._shown} of {len(self.hints)}. {self.hints[self._shown - 1]}{last}"
        print("\n".join(wrapped(text, "  ")))

    def solution(self, *, spoil: bool = False) -> Model | Unsolved:
        """The model answer of this task, with the reasons: shown as code and text.

        Before you have passed the task, only with `spoil=True`.
        """
        if spoil or (self.exercise, self.number) in progress.done():
            return model.answer(self.exercise, self.number)
        return Unsolved(self.number, self.label)

    def _report(
        self,
        status: Status,
        criteria: tuple[Criterion, ...] = (),
        traps: tuple[str, ...] = (),
        error: str = "",
        reason: str = "",
        figures: tuple[Figure, ...] | None = None,
        ways: tuple[str, ...] = (),
    ) -> Report:
        texts = tuple(self.traps[name] for name in traps)
        return Report(
            self.number,
            self.label,
            self.title,
            status,
            criteria,
            traps,
            texts,
            error,
            reason,
            figures,
            ways,
        )


class Checking(Generic[T]):
    """A check that has not begun. It begins when it is awaited."""

    def __init__(self, what: str, begin: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._what, self._begin = what, begin

    def __await__(self) -> Generator[Any, None, T]:
        return self._begin().__await__()

    def __repr__(self) -> str:
        return f"Nothing was checked: write `await` before {self._what}, then run this cell again."


class Drill:
    """`drill[1]` is its first task, `drill[0]` its warm-up, and the last one may be a stretch.

    Neither of the two is needed to finish the exercise.
    """

    def __init__(
        self,
        title: str,
        tasks: tuple[ModuleType, ...],
        *,
        warm_up: ModuleType | None = None,
        stretch: ModuleType | None = None,
    ) -> None:
        slug = tasks[0].__name__.split(".")[-2]
        lesson = course.lesson(slug)
        self.slug, self.name = slug, lesson.name
        self.title = f"Exercise {lesson.number:02}: {title}"
        numbered: list[tuple[int, Kind, ModuleType]] = [
            (number, "task", module) for number, module in enumerate(tasks, 1)
        ]
        if warm_up:
            numbered.insert(0, (0, "warm-up", warm_up))
        if stretch:
            numbered.append((len(tasks) + 1, "stretch", stretch))
        self.tasks = tuple(
            Task(module, number, lesson.name, kind) for number, kind, module in numbered
        )

    def __getitem__(self, number: int) -> Task:
        for task in self.tasks:
            if task.number == number:
                return task
        first, last = self.tasks[0].number, self.tasks[-1].number
        raise IndexError(f"{self.name} has drill[{first}] to drill[{last}]")

    def __repr__(self) -> str:
        finished = progress.done()
        return "\n".join(
            [
                self.title,
                *(
                    f"  {'✔' if (self.name, task.number) in finished else '–'}  "
                    f"{task.label}: {task.title}"
                    for task in self.tasks
                ),
            ]
        )
