"""`python3 -m firedrill.authoring.bootstrap requirements.lock`: installs into .venv, for `make`. Needs nothing but Python itself.

While pip downloads, the servers are fetched as well. Where Debian has split ensurepip off into python3-venv, and that is
not installed, pip comes out of Debian's archive in the same way as the servers: into .venv, not onto the machine.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
VENV = REPOSITORY / ".venv"


def main(lock: str) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  an older Python gets here, too
        print(
            f"The course needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.\n"
            "Name another one: make lab PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    from ..servers import Unavailable

    fetch = threading.Thread(target=_fetch_servers)
    fetch.start()
    try:
        if not (VENV / "bin/pip").exists():
            print("Making .venv ...", flush=True)
            shutil.rmtree(VENV, ignore_errors=True)
            _make_venv()
        print(f"Installing {lock} ...", flush=True)
        _pip("install", "--quiet", "--no-compile", "--require-hashes", "-r", lock)
        _pip("install", "--quiet", "--no-deps", "-e", ".")
    except subprocess.CalledProcessError as error:
        print(
            f"pip could not install {lock} (exit status {error.returncode}); what it says stands above.\n"
            "Without a network? A mirror or a proxy goes into pip's own configuration: https://pip.pypa.io/en/stable/topics/configuration/",
            file=sys.stderr,
        )
        return 1
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        fetch.join()
    return 0


def _fetch_servers() -> None:
    """What goes wrong here is told when the servers are opened."""
    from .. import servers

    try:
        if servers.choose()[0] == "embedded":
            servers.debian.provide()
    except servers.Unavailable:
        pass


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip"):
        venv.create(VENV, with_pip=True)
        return
    from ..servers import debian

    venv.create(VENV)
    with tempfile.TemporaryDirectory() as folder:
        packages = debian.download(Path(folder, "apt"), debian.archive(), ["python3-pip-whl"])
        (deb,) = [package for package in packages if package.name.startswith("python3-pip-whl_")]
        subprocess.run(["dpkg-deb", "-x", deb, f"{folder}/files"], check=True)
        (wheel,) = Path(folder).glob("files/usr/share/python-wheels/pip-*.whl")
        subprocess.run(
            [VENV / "bin/python", wheel / "pip", "install", "--quiet", "--no-index", wheel],
            check=True,
        )


def _pip(*arguments: str) -> None:
    subprocess.run(
        [VENV / "bin/pip", "--disable-pip-version-check", *arguments], cwd=REPOSITORY, check=True
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
