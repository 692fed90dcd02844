"""What the set-up is doing, and for how long: `with steps("Installing"): ...`.

Steps may overlap, in threads. At no time are two seconds silent.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

SILENCE = 1.5  # seconds after which it is said what still goes on


class Steps:
    """Prints a line when a step begins, when it is done, and while it takes long."""

    def __init__(self) -> None:
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._spoken = self._begun = time.monotonic()
        threading.Thread(target=self._remind, daemon=True).start()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        begun = time.monotonic()
        with self._lock:
            self._running[what] = begun
            self._say(f"{what} ...")
        try:
            yield
        except BaseException:
            with self._lock:
                del self._running[what]
            raise
        with self._lock:
            del self._running[what]
            self._say(f"{what}: {time.monotonic() - begun:.1f} s")

    def close(self) -> None:
        self._over.set()

    def _remind(self) -> None:
        while not self._over.wait(0.1):
            with self._lock:
                now = time.monotonic()
                if self._running and now - self._spoken > SILENCE:
                    going_on = (f"{what}: {now - at:.0f} s" for what, at in self._running.items())
                    self._say(f"  ... {', '.join(going_on)}", passing=sys.stdout.isatty())

    def _say(self, line: str, passing: bool = False) -> None:
        """A line that is `passing` is overwritten by the next one, which only a terminal can do."""
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="" if passing else "\n", flush=True)
        else:
            print(line, flush=True)
        self._spoken = time.monotonic()
