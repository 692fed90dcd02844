"""Tasks that are made here, with a check of the test's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType

from firedrill.checking.drill import Task
from firedrill.checking.examination import Examination

Check = Callable[[Examination], Awaitable[None]]


def task_of(check: Check) -> Task:
    module = ModuleType("a_task")
    module.TITLE, module.HINTS, module.TRAPS = "a task", ("", "", ""), {}  # type: ignore[attr-defined]
    module.check = check  # type: ignore[attr-defined]
    return Task(module, 1, "02_pools")
