"""`Examination`: what a check is handed. The one door for the learner's code, and what was seen."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from . import blame, isolated
from .outcome import Outcome
from .report import Criterion
from .sandbox import Running, Sandbox

__all__ = ["Examination", "Running"]  # what a check needs to name


class Examination:
    """Runs the learner's code, whatever it does, and notes criteria and traps. Never the answer.

    outcome = await exam.run(pool, 7)               # the learner's code, for at most 5 s
    running = exam.start(pool, 7)                   # the same; meanwhile the check goes on
    outcome = await running
    outcome = await exam.call(service, 7)           # a function that the learner's code gave
    async with exam.in_process() as there: ...      # in a separate process, see `isolated`
    exam.file                                       # what a cell has written
    """

    def __init__(
        self, code: Callable[..., Any] | Path, traps: dict[str, str], sandbox: Sandbox
    ) -> None:
        self.traps = traps
        self.criteria: list[Criterion] = []
        self.fallen: list[str] = []
        self.error = ""  # the learner's exception that came before the first unmet criterion
        self._latest: BaseException | None = None
        self.is_timed = False  # a criterion was about time, or a call ran into its limit
        self._code = code
        self._sandbox = sandbox
        # Called with each criterion, and whether it is met, when it is noted.
        self.on_criterion: list[Callable[[str, bool], None]] = []

    @property
    def file(self) -> Path:
        """The file that a cell has written, where that is the learner's code."""
        if not isinstance(self._code, Path):
            raise TypeError("the code of this task is a function")
        return self._code

    async def run(self, *arguments: Any, limit: float = 5.0, plain: bool = False) -> Outcome:
        """Call the learner's code, sync or async, for at most `limit` seconds.

        With `plain`, a result that has to be awaited is an error.
        """
        return await self.call(self._function, *arguments, limit=limit, plain=plain)

    async def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        limit: float = 5.0,
        plain: bool = False,
    ) -> Outcome:
        """The same for a function that the learner's code has returned."""
        return self._noted(await self._sandbox.run(function, *arguments, limit=limit, plain=plain))

    def start(
        self, *arguments: Any, limit: float = 5.0, of: Callable[..., Any] | None = None
    ) -> Running:
        """Begin to call the learner's code, or the function `of`, and go on. Await the result."""
        running = self._sandbox.start(of or self._function, *arguments, limit=limit)
        running.on_outcome(self._noted)
        return running

    @contextlib.asynccontextmanager
    async def in_process(self) -> AsyncIterator[isolated.Process]:
        """The learner's function in a separate process, without what it keeps in memory here.

        Raises OSError or TypeError where there is no source text of it.
        """
        async with isolated.process(self._function) as there:
            yield there

    def criterion(self, what: str, met: bool, measured: str, *, timed: bool = False) -> None:
        """`timed` where a busy machine alone may be the reason that it is not met."""
        self.is_timed |= timed and not met
        if not met and self._latest and not self.error:
            self.error = blame.lines_of(self._latest)
        self._latest = None
        self.criteria.append((what, met, measured))
        for notice in self.on_criterion:
            notice(what, met)

    def in_time(self, seconds: float, limit: float) -> bool:
        """Whether that took at most `limit` seconds. If not, a busy machine may be the reason."""
        self.is_timed |= seconds > limit
        return seconds <= limit

    def trap(self, name: str) -> None:
        """The tempting wrong fix was seen at work; `name` is one of the task's traps."""
        if name not in self.fallen:
            self.traps[name]  # a name that the task does not know is a mistake of the check's
            self.fallen.append(name)

    def _noted(self, outcome: Outcome) -> Outcome:
        self._latest = outcome.error or self._latest
        self.is_timed |= outcome.hung
        return outcome

    @property
    def _function(self) -> Callable[..., Any]:
        if isinstance(self._code, Path):
            raise TypeError("the code of this task is a file")
        return self._code
