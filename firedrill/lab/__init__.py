"""JupyterLab on the lessons: the course's layout, its own kernel, and nothing of the reader's
own Jupyter touched.

`launch` prepares one folder and hands over to JupyterLab, which reads `jupyter_server_config.py`
next to this file.
"""

import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from firedrill.servers import Unavailable, cache

HERE = Path(__file__).parent
# The name that JupyterLab gives to "default"
LAYOUT = "lab/workspaces/default-37a8.jupyterlab-workspace"


def launch(arguments: list[str]) -> int:
    """Replace this process by JupyterLab; `arguments` are passed on to it.

    Returns only when it cannot start: the exit status 1, after a message on stderr.
    """
    try:
        if importlib.util.find_spec("jupyterlab") is None:
            install = f"{sys.executable} -m pip install -r requirements.txt"
            raise Unavailable(
                f"JupyterLab is not installed for {sys.executable}.\nInstall the course: {install}"
            )
        state = Path(
            os.environ.get("FIREDRILL_JUPYTER") or cache.folder() / "jupyter"
        ).absolute()  # set by tests
        _prepare(state)
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    # Not a child: Ctrl-C, SIGTERM and the exit status are JupyterLab's own.
    command = [sys.executable, "-c", "from firedrill.lab import serve; serve()", *arguments]
    return os.execve(sys.executable, command, _environment(state))


def _prepare(state: Path) -> None:
    """Make the folder; put the course's layout there unless the reader has one already."""
    layout = state / LAYOUT
    try:
        layout.parent.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)  # the token of a running server lies below
        if not layout.exists():
            shutil.copyfile(HERE / "workspace.json", layout)
        style = state / "custom/custom.css"  # where JupyterLab looks for it
        style.parent.mkdir(exist_ok=True)
        shutil.copyfile(HERE / "custom.css", style)
        layout.touch()  # fails here, with our message, rather than in the page at the first change
    except OSError as error:
        raise Unavailable(
            f"The course keeps JupyterLab's settings and layout in {state}, "
            f"and cannot write there: {error}.\nMake that folder writable, "
            "or give another one in the environment: FIREDRILL_CACHE=/some/folder"
        ) from error


def _environment(state: Path) -> dict[str, str]:
    """This process's environment with every trace of another Jupyter taken out."""
    foreign = (
        "JUPYTER",
        "JPY_",
        "IPYTHON",
        "PYTHONSTARTUP",
    )  # IPython runs the file named in PYTHONSTARTUP
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {
        # `!firedrill`.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "JUPYTER_CONFIG_PATH": str(HERE),
        "JUPYTER_CONFIG_DIR": str(state),
        "JUPYTER_DATA_DIR": str(state / "data"),
        "JUPYTER_RUNTIME_DIR": str(state / "run"),
        # The kernel of this environment before any other "python3"
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(state / "ipython"),
        "MPLCONFIGDIR": str(state / "matplotlib"),
    }


# What follows runs in JupyterLab's process, which loads this module as an extension of its server.
def serve() -> None:
    """Run JupyterLab to its end, and leave at once."""
    from jupyterlab.labapp import main  # type: ignore[import-untyped]

    status: Any = 1
    try:
        status = main()
    except SystemExit as end:
        status = end.code
    finally:
        sys.stdout.flush()
        # A request under way at the end leaves a thread of anyio's waiting for work, and Python
        # waiting for it.
        os._exit(status if isinstance(status, int) else int(bool(status)))


def _load_jupyter_server_extension(server: Any) -> None:
    """Let a closed terminal, and Ctrl-C where there is no terminal, stop kernels in good order,
    too.

    Jupyter leaves these to Python: the server vanishes, its kernels notice a second later and
    skip their own clean-up, and with it the stopping of the servers that a lesson started.
    """
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):  # not under nohup, which ignores
            signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


async def _start_jupyter_server_extension(server: Any) -> None:
    """Say where the page is and how to stop, once the server listens: the last lines of the
    start."""
    host = (
        "localhost" if server.ip in ("", "0.0.0.0", "::") else server.ip
    )  # a wildcard is no address
    address = f"{'https' if server.certfile else 'http'}://{host}:{server.port}{server.default_url}"
    token = server.identity_provider.token
    address += f"?token={token}" if token else ""
    print(
        f"\nThe lessons are open in JupyterLab at\n\n    {address}\n\n"
        "Stop it with Ctrl-C, then y.\n",
        flush=True,
    )
