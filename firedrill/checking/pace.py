"""How busy the machine is while a check runs: what its verdicts on time are worth."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

# Nanoseconds that this process's main thread has run, and has waited for a processor.
# https://docs.kernel.org/scheduler/sched-stats.html
SCHEDSTAT = Path("/proc/self/schedstat")
BUSY = 2.5  # times: the checks leave a limit at least twice its time


class Pace:
    """Entered for the time of a check. `slowdown`: how many times longer work takes than alone."""

    slowdown = 1.0

    def __enter__(self) -> Self:
        self._before = _schedstat()
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        self.look()

    def look(self) -> bool:
        """Whether the machine has been too busy since the check began."""
        after = _schedstat()
        if self._before and after:
            ran, waited = (now - then for now, then in zip(after, self._before, strict=True))
            self.slowdown = 1 + waited / max(ran, 1)
        elif hasattr(os, "getloadavg"):
            self.slowdown = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        return self.slowdown > BUSY

    def __str__(self) -> str:
        return f"work took {self.slowdown:.1f} times as long as on an idle machine"


def _schedstat() -> tuple[int, int] | None:
    try:
        ran, waited, _ = SCHEDSTAT.read_text().split()
    except (OSError, ValueError):
        return None
    return int(ran), int(waited)
