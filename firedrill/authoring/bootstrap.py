"""`python3 -m firedrill.authoring.bootstrap requirements.lock`: installs into .venv, for `make`.

Needs nothing but Python itself, and uv, which it fetches into .venv where the machine has none.
While it installs, the servers are fetched as well. A lock file is marked in .venv when all of its
packages are there with their bytecode, and then takes no time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import venv
from pathlib import Path

from . import uv
from .steps import Steps

REPOSITORY = Path(__file__).parents[2]
VENV = REPOSITORY / ".venv"
PYTHON = VENV / "bin/python"
STATE = VENV / "firedrill.json"  # what .venv was made for, and what is in it
HELP = """\
Without a network? A mirror or a proxy comes from pip's configuration (`pip config list`), or
from uv's variables: UV_DEFAULT_INDEX, UV_INDEX, UV_FIND_LINKS, HTTPS_PROXY, SSL_CERT_FILE.
Run the same command again: it goes on with what it has. README.md says how to do without uv."""


class Failed(Exception):
    """Its text is for the reader."""


def main(locks: list[str]) -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  an older Python gets here, too
        print(
            f"The course needs Python 3.11 or newer, and {sys.executable} is "
            f"{sys.version.split()[0]}.\nName another one: make lab PYTHON=python3.12",
            file=sys.stderr,
        )
        return 1
    from ..servers import Unavailable

    try:
        missing = _missing(locks)
        if missing:
            _set_up(missing)
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again: it goes on.", file=sys.stderr)
        return 130
    except (Failed, Unavailable) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\nThe set-up cannot go on: {error}\n{_room()}", file=sys.stderr)
        return 1
    return 0


def _missing(locks: list[str]) -> list[str]:
    """Those that have to be installed, into a .venv that fits; an unfit one is removed."""
    state = _state()
    if why := _unfit(state):
        if VENV.is_symlink():
            raise Failed(f".venv is a link to {VENV.readlink()}, and {why}. Remove the link.")
        if VENV.exists():
            print(f"Making .venv again: {why}.", flush=True)
            for path in VENV.iterdir():
                if path.name != "uv":  # need not be fetched again
                    shutil.rmtree(
                        path
                    ) if path.is_dir() and not path.is_symlink() else path.unlink()
        return locks
    return [lock for lock in locks if state.get(lock) != _digest(lock)]


def _state() -> dict[str, str]:
    try:
        return dict(json.loads(STATE.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _unfit(state: dict[str, str]) -> str:
    """Why .venv cannot be used; empty if it can. One that was made by hand can be, too."""
    if not VENV.exists():
        return "it is not there"
    try:
        python = subprocess.run(
            [PYTHON, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "its Python does not run"
    if python != _version():
        return f"it is for Python {python}, and this is {_version()}"
    if (folder := state.get("folder") or _folder_of_scripts()) != str(VENV):
        return f"it was made for {folder}"  # which its scripts, and the notebooks' firedrill, name
    if state.get("under way"):
        return "an earlier start was interrupted"
    return ""


def _folder_of_scripts() -> str:
    """The .venv that the first line of its pip names."""
    try:
        first = (VENV / "bin/pip").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return str(VENV)
    return first.removeprefix("#!").partition("/bin/python")[0]


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _digest(lock: str) -> str:
    both = (REPOSITORY / lock).read_bytes() + (REPOSITORY / "pyproject.toml").read_bytes()
    return hashlib.sha256(both).hexdigest()


def _set_up(locks: list[str]) -> None:
    state = {"folder": str(VENV)} | _state()
    steps = Steps()
    fetch = threading.Thread(target=_fetch_servers, args=[steps], daemon=True)
    fetch.start()
    try:
        if not PYTHON.exists():
            with steps("Making .venv"):
                venv.create(VENV, symlinks=True)
        if not (command := uv.program(VENV / "uv")):
            with steps("Fetching uv, which installs the rest"):
                _fetch_uv()
            command = uv.program(VENV / "uv")
        assert command
        environment = uv.environment() | {"VIRTUAL_ENV": str(VENV)}
        install = [*command, *("pip", "install", "--quiet"), *uv.options()]
        _note(state | {"under way": ", ".join(locks)})
        for lock in locks:
            with steps(f"Installing {lock}"):
                _run([*install, "--require-hashes", "-r", lock], environment, lock)
        with steps("Installing firedrill"):
            _run([*install, "--no-deps", "-e", "."], environment, "firedrill")
        with steps("Compiling to bytecode"):
            _run([PYTHON, "-m", "firedrill.authoring.bytecode"], dict(os.environ), "the bytecode")
        _note(state | {lock: _digest(lock) for lock in locks})
    finally:
        fetch.join()
        steps.close()


def _note(state: dict[str, str]) -> None:
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state, indent=1), encoding="utf-8")
    new.replace(STATE)


def _fetch_uv() -> None:
    try:
        uv.fetch(VENV / "uv")
    except subprocess.CalledProcessError as error:
        raise Failed(
            f"pip could not fetch uv (exit status {error.returncode}); what it says stands above.\n"
            f"{HELP}"
        ) from error


def _run(command: list[str | Path], environment: dict[str, str], what: str) -> None:
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        full = "os error 28" in done.stderr or "No space left" in done.stderr
        raise Failed(
            f"{done.stderr.strip()}\n\n{what} could not be installed; why stands above.\n"
            f"{_room() if full else HELP}"
        )


def _room() -> str:
    free = shutil.disk_usage(REPOSITORY).free >> 20
    return (
        f"The packages need 300 MB, and as much in uv's cache; {REPOSITORY} has {free} MB left.\n"
        "Make room, or put the cache on another disk with UV_CACHE_DIR=/some/folder. "
        "The next start goes on."
    )


def _fetch_servers(steps: Steps) -> None:
    """What goes wrong here is told when the servers are opened."""
    from .. import servers

    with contextlib.suppress(servers.Unavailable, OSError):
        if servers.choose()[0] == "embedded" and not servers.debian.ready():
            with steps("Fetching the servers"):
                servers.fetch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
