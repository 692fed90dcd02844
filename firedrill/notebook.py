"""What opening servers or a drill sets up in a notebook.

JupyterLab's Stop button ends a cell that only waits; a lesson that was run to its end is noted.

A signal's handler runs between two Python instructions, and an event loop that waits in select()
executes none: with ipykernel 7 the Stop button does nothing until something else wakes the loop
(ipykernel issue 881). asyncio wakes up for signals once a wakeup descriptor is set, which
`loop.add_signal_handler` does as a side effect.
https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

from . import course, progress


def wake_the_loop() -> None:
    """Let signals wake the running event loop, if there is one. Can be repeated."""
    if threading.current_thread() is not threading.main_thread():
        return
    try:
        loop = asyncio.get_running_loop()
        # SIGURG is ignored unless somebody handles it. Only the wakeup descriptor is wanted.
        loop.add_signal_handler(signal.SIGURG, lambda: None)
    except (RuntimeError, NotImplementedError, AttributeError):
        return  # no loop runs, or not on this system: Stop works as it does without us


def note_reading() -> None:
    """The servers of this notebook were closed: if it is a lesson in Jupyter, it has been read."""
    name = Path(os.environ.get("JPY_SESSION_NAME", "")).stem
    if name in {lesson.name for lesson in course.lessons()}:
        progress.record_reading(name)
