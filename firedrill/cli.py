"""The command `firedrill` as it is installed: what can be answered at once, the way to the rest.

`explain` needs neither a package nor a clone of the course; the other commands say what they need.
"""

from __future__ import annotations

import os
import sys

GREETING = """asyncpg fire drills: PostgreSQL broken on purpose, and why, and how to fix it.

  firedrill explain [ERROR ...]   what an error means, and which lesson treats it
                                  (without ERROR it reads standard input; --json for programs)
  firedrill lab                   the lessons in JupyterLab
  firedrill servers               PostgreSQL and PgBouncer to try things with, until Ctrl-C
  firedrill doctor                look at this machine and open a pair of servers once
  firedrill progress              which exercises are done
  firedrill reset EXERCISE        put an exercise back as it was
  firedrill --version

`explain` works anywhere. All others need the course: its repository, and the packages that
`make lab` or `pip install -r requirements.txt` installs there.
"""
OF_THE_COURSE = ("lab", "servers", "doctor", "progress", "reset")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = quick(arguments)
        if code is None:
            code = _course(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def quick(arguments: list[str]) -> int | None:
    """The exit status, or None for a command that the course has to answer."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(GREETING, end="")
        return 0
    if arguments[0] in ("--version", "-V"):
        from . import __version__

        print(f"firedrill {__version__}")
        return 0
    if arguments[0] == "explain":
        from . import explain

        return explain.main(arguments[1:])
    return None


def _course(arguments: list[str]) -> int:
    command = arguments[0]
    if command not in OF_THE_COURSE:
        print(f"firedrill: there is no command {command!r}.\n\n{GREETING}", end="", file=sys.stderr)
        return 2
    repository = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not os.path.isdir(os.path.join(repository, "notebooks")):
        return _needs(
            command, "the course: run it in a clone of its repository; README.md tells how"
        )
    try:
        from . import (
            commands,
            servers,  # what most commands import  # noqa: F401
        )
    except ModuleNotFoundError as error:
        return _needs(command, f"{error.name}: `pip install -r requirements.txt` installs it")
    return commands.main(arguments)


def _needs(command: str, what: str) -> int:
    print(f"firedrill: `{command}` needs {what}. `firedrill explain` works here.", file=sys.stderr)
    return 1
