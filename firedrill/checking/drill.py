"""`Drill`: 2 to 4 `Task`s on one piece of the ticket shop's code, checked by running the learner's code against live servers."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..expect import describe
from . import attempt, progress
from .attempt import Outcome

WIDTH = 100


@dataclass
class Examination:
    """Handed to a task's check: runs the learner's code, and notes what was seen. Never the answer."""

    code: Callable[..., Any]
    traps: dict[str, str]
    file: Path | None = None        # what a cell has written, where that is the learner's code
    criteria: list[tuple[str, bool, str]] = field(default_factory=list)
    fallen: list[str] = field(default_factory=list)

    async def run(self, *arguments: Any, limit: float = 5.0, plain: bool = False) -> Outcome:
        return await attempt.run(self.code, *arguments, limit=limit, plain=plain)

    def criterion(self, what: str, met: bool, measured: str) -> None:
        self.criteria.append((what, met, measured))

    def trap(self, name: str) -> None:
        """The tempting wrong fix was seen at work; `name` is one of the task's traps."""
        if name not in self.fallen:
            self.traps[name]        # a name that the task does not know is a mistake of the check's
            self.fallen.append(name)


@dataclass(frozen=True)
class Report:
    """What a check found. `status` is "not attempted", "interrupted", "failed" or "passed"."""

    task: Task
    status: str
    criteria: tuple[tuple[str, bool, str], ...] = ()
    traps: tuple[str, ...] = ()

    def __repr__(self) -> str:
        lines = [f"Task {self.task.number}, {self.task.title}: {self.status}"]
        if self.status == "not attempted":
            return "\n".join([*lines, "  –  Change the starter code above, run its cell, then run this one again."])
        for what, met, measured in self.criteria:
            lines += _wrapped(f"{'✔' if met else '✘'}  {what} — {measured}", "     ")
        for name in self.traps:
            lines += _wrapped(f"Trap. {self.task.traps[name]}", "     ")
        if self.status == "failed":
            lines.append(f"  A hint: drill[{self.task.number}].hint()")
        return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


@dataclass(frozen=True, eq=False)
class Task:
    """`examine` gets an `Examination`; `hints` go from where to look, over what is going on, to nearly the answer."""

    number: int
    title: str
    examine: Callable[[Examination], Awaitable[None]]
    hints: tuple[str, str, str]
    traps: dict[str, str]
    drill: str
    _shown: list[int] = field(default_factory=lambda: [0])

    async def check(self, code: Callable[..., Any] | Path) -> Report:
        """Run `code`, a function or the file that a cell has written, against servers of its own, and say what was seen."""
        file = code if isinstance(code, Path) else None
        if file and not file.is_file():
            return Report(self, "failed", (("the starter's cell has written its file", False, f"there is no {file}"),))
        if not file and not callable(code):
            return Report(self, "failed", (("the starter's function is given to check()", False,
                                            f"got {type(code).__name__}"),))
        if _is_starter(code, self.drill, self.number):
            return Report(self, "not attempted")
        examination = Examination(_no_function if isinstance(code, Path) else code, self.traps, file)
        try:
            await self.examine(examination)
        except (asyncio.CancelledError, KeyboardInterrupt):
            return Report(self, "interrupted", tuple(examination.criteria))
        except Exception as error:      # code that wrecks its servers is not to end in a traceback through ours
            examination.criterion("the check came to its end", False, describe(error))
        passed = not examination.fallen and all(met for _, met, _ in examination.criteria)
        if passed and Path.cwd().name != "solutions":       # whoever runs the solution has not solved it
            progress.record(self.drill, self.number)
        return Report(self, "passed" if passed else "failed", tuple(examination.criteria), tuple(examination.fallen))

    def hint(self, number: int | None = None) -> None:
        """Print the next of the three hints, or the one with this number."""
        self._shown[0] = min(number or self._shown[0] + 1, len(self.hints))
        last = " That was the last hint; the solution is in solutions/." if self._shown[0] == len(self.hints) else ""
        print("\n".join(_wrapped(f"Hint {self._shown[0]} of {len(self.hints)}. {self.hints[self._shown[0] - 1]}{last}", "  ")))


@dataclass(frozen=True)
class Drill:
    """`drill[1]` is its first task."""

    name: str
    title: str
    tasks: tuple[Task, ...]

    def __getitem__(self, number: int) -> Task:
        if not 1 <= number <= len(self.tasks):
            raise IndexError(f"{self.name} has the tasks 1 to {len(self.tasks)}")
        return self.tasks[number - 1]

    def __repr__(self) -> str:
        finished = progress.done()
        return "\n".join([self.title, *(f"  {'✔' if (self.name, task.number) in finished else '–'}  "
                                        f"Task {task.number}: {task.title}" for task in self.tasks)])


def _no_function(*_: object) -> None:
    raise TypeError("the code of this task is a file")


def _is_starter(code: Callable[..., Any] | Path, drill: str, number: int) -> bool:
    """Untouched, but for white space and comments."""
    from ..notebooks import starter
    try:
        if not isinstance(code, Path):
            given = ast.parse(textwrap.dedent(inspect.getsource(code)))
            return any(ast.dump(node) == ast.dump(given.body[0]) for node in ast.parse(starter(drill, number)).body)
        _magic, _, source = starter(drill, number).partition("\n")
        return ast.dump(ast.parse(source)) == ast.dump(ast.parse(code.read_text(encoding="utf-8")))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
