"""nbval's kernels as forks of one process that has imported what every lesson imports.

nbval.plugin.RunningKernel = kernels.ForkedKernel       # where `os.fork` exists, see conftest.py

A kernel that starts from nothing imports for a second of processor time, and jupyter_client then
waits for 0.2 s of silence. None of the modules that are imported ahead has connected, drawn or
started a thread by then, so a cell finds what it finds in a new process.
tests/test_forked_kernels.py compares the two, cell by cell.
"""

from __future__ import annotations

import os
import signal
import time
import uuid
from queue import Empty

from jupyter_client.manager import KernelManager
from nbval.kernel import RunningKernel

from ..forks import Forks

# What a kernel imports when it starts, and then the lessons. Not `matplotlib.pyplot`: IPython has
# to see its import.
MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.history",
    "IPython.extensions.storemagic",
    "pdb",
    "tornado.platform.asyncio",
    "asyncpg",
    "matplotlib.figure",
    "firedrill.drills",
    "firedrill.faults",
    "firedrill.load",
    "firedrill.service",
    "firedrill.timeline",
    "firedrill.tls",
    "firedrill.views",
    "firedrill.wire",
)
_forks = Forks(
    "firedrill.authoring.kernel_fork:run",
    *MODULES,
    # A kernel sets this before its cells import matplotlib, which reads it then.
    MPLBACKEND=os.environ.get("MPLBACKEND") or "module://matplotlib_inline.backend_inline",
    PYDEVD_DISABLE_FILE_VALIDATION="1",  # or debugpy, which a kernel imports, prints a warning
)
prepare = _forks.prepare  # lets it begin with its imports, and returns at once


class ForkedKernel(RunningKernel):
    """What nbval asks of a kernel. It is this environment's Python, whatever its name."""

    def __init__(self, kernel_name: str, cwd: str | None = None, startup_timeout: float = 60):
        file = f"{os.environ['JUPYTER_RUNTIME_DIR']}/{uuid.uuid4()}.json"
        self.km = KernelManager(transport="ipc", connection_file=file)
        self.km.write_connection_file()
        self._fork = _forks.start(
            os.devnull, file=file, folder=cwd or os.getcwd(), environment=dict(os.environ)
        )
        self.kc = self.km.client()
        self.kc.start_channels()
        self._await_ready(time.monotonic() + startup_timeout)

    def _await_ready(self, deadline: float) -> None:
        """Both channels, which connect one after the other, bring the answer to a question."""
        while time.monotonic() < deadline:
            question = self.kc.kernel_info()
            try:
                self.await_reply(question, timeout=max(0.0, deadline - time.monotonic()))
                self.await_idle(question, 0.05)
            except Empty:
                if not self.is_alive():
                    break
            else:
                return
        self.stop()
        raise RuntimeError("The kernel has not started.")

    @property
    def pid(self) -> int:
        return self._fork.pid

    def is_alive(self) -> bool:
        return self._fork.exit_code is None

    def interrupt(self) -> None:
        os.killpg(self.pid, signal.SIGINT)

    def stop(self) -> None:
        """As nbval stops its own: by SIGKILL, with its children."""
        self.kc.stop_channels()
        self._fork.kill()
        self.km.cleanup_connection_file()
        self.km.cleanup_ipc_files()
