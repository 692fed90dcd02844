"""The kernel in a fork, see kernels.py. A separate module, as no kernel has nbval imported."""

from __future__ import annotations

import os
import sys


def run(file: str, folder: str, environment: dict[str, str]) -> int:
    """What `python -m ipykernel_launcher -f FILE` does in `folder` with this environment."""
    from ipykernel.kernelapp import IPKernelApp

    for name in ("MPLBACKEND", "PYDEVD_DISABLE_FILE_VALIDATION"):  # were for the imports only
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.chdir(folder)
    del sys.path[0]  # the folder of the process that forks; IPython puts its own there
    sys.argv = ["ipykernel_launcher", "-f", file]
    # The kernel ends when its parent has ended, even where `prctl` does not see to that.
    IPKernelApp.launch_instance(parent_handle=os.getppid())
    return 0
