"""`Attempt`: one run of a task's check with a learner's code, and what is known afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import servers
from ..expect import describe
from ..servers.stack import Stack
from . import waiting
from .examination import Examination
from .pace import Pace
from .report import Status
from .sandbox import Sandbox
from .standing import Halting, Stand
from .traffic import Traffic

TOO_BUSY = (
    "This machine is too busy to judge code by how long it takes: {pace}. "
    "Run the check again when less else is running."
)
PATIENCE = 20  # seconds after which a check says what it is doing


class Attempt:
    """`status`, `reason` and `exam` are there when it has been run; `traffic` is what was said."""

    status: Status
    exam: Examination

    def __init__(
        self,
        module: ModuleType,
        label: str,
        code: Callable[..., Any] | Path,
        stand: Stand | None = None,
    ) -> None:
        """With `stand`, the check stands still where it fails, and its servers are kept open."""
        self.module, self.label, self.code, self.stand = module, label, code, stand
        self.stacks: list[Stack] = []
        self.traffic = Traffic()
        self.reason = ""

    async def run(self) -> None:
        missed: list[str] = []
        doing: list[str] = []
        tokens = waiting.expired.set(missed), waiting.activity.set(doing)
        opening = servers.on_open.set(self._opened)
        telling = asyncio.ensure_future(self._tell(doing))
        try:
            on_hang = self.stand.on_hang if self.stand else None
            with Sandbox(on_hang) as sandbox, Pace() as pace, self.traffic:
                self.exam = exam = Examination(self.code, self.module.TRAPS, sandbox)
                exam.on_criterion.append(self.traffic.noted)
                check = self.module.check(exam)
                if self.stand:
                    exam.on_criterion.append(self.stand.on_criterion)
                    check = Halting(check, self.stand)
                try:
                    await check
                except (asyncio.CancelledError, KeyboardInterrupt):
                    self.status = "interrupted"
                    self.traffic.terminate()
                    return
                except Exception as error:  # code that wrecks its servers is not our traceback
                    exam.criterion("the check came to its end", False, describe(error), timed=True)
                finally:
                    await sandbox.clean_up()
        finally:
            telling.cancel()
            servers.on_open.reset(opening)
            waiting.expired.reset(tokens[0])
            waiting.activity.reset(tokens[1])

        passed = not exam.fallen and all(met for _, met, _ in exam.criteria)
        self.status = "passed" if passed else "failed"
        if not passed and (exam.is_timed or missed) and pace.look():
            self.status, self.reason = "could not judge", TOO_BUSY.format(pace=pace)

    def _opened(self, stack: Stack) -> None:
        self.stacks.append(stack)
        stack.is_kept = self.stand is not None

    async def _tell(self, doing: list[str]) -> None:
        """A check that takes long says what it is doing. A stored output does not depend on it."""
        while Path.cwd().name != "solutions":
            await asyncio.sleep(PATIENCE)
            if self.stand and self.stand.reached.is_set():
                return
            what = doing[-1] if doing else "your code has ended"
            print(f"{self.label} is still being checked: waiting until {what}.", flush=True)
