"""The command `firedrill`: from an error to its lesson, the servers, the learner's progress."""

from __future__ import annotations

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="firedrill", description="The helper of the asyncpg fire drills."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "lab",
        help="open JupyterLab on the first lesson (further arguments are JupyterLab's)",
        add_help=False,
    )
    commands.add_parser("explain", help="what an error means, and which lesson treats it")
    doctor = commands.add_parser(
        "doctor",
        help="look at this machine and open a pair of servers once, or look at a server of yours",
    )
    doctor.add_argument(
        "dsn",
        nargs="?",
        help="postgresql://...: your server or pooler; it is only read, and no password is printed",
    )
    doctor.add_argument(
        "--console", metavar="DSN", help="PgBouncer's admin console, to read its settings as well"
    )
    show = commands.add_parser("progress", help="lessons read, tasks passed, and what is next")
    form = show.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the same as JSON")
    form.add_argument("--csv", action="store_true", help="one line for each task")
    show.add_argument("--learner", default="", metavar="NAME", help="a name for JSON and CSV")
    reset = commands.add_parser("reset", help="put an exercise back as it was; yours is kept")
    reset.add_argument("exercise", help="its name or number: 01_connecting, 01, 1")
    reset.add_argument("--forget", action="store_true", help="also if tasks were passed")
    run = commands.add_parser(
        "servers", help="open a pair, print how to connect, and keep it until Ctrl-C"
    )
    run.add_argument(
        "--fetch", action="store_true", help="only fetch and unpack what the servers need"
    )
    run.add_argument(
        "--versions",
        action="store_true",
        help="list the versions that are unpacked and those that can be fetched",
    )
    if arguments is None:
        arguments = sys.argv[1:]
    if arguments[:1] == ["lab"]:
        from . import lab

        return lab.launch(arguments[1:])
    options = parser.parse_args(arguments)
    from .servers import Unavailable

    try:
        code = int(globals()[f"_{options.command}"](options))
        sys.stdout.flush()
        return code
    except Unavailable as error:
        print(f"firedrill: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _doctor(options: argparse.Namespace) -> int:
    from . import doctor

    return doctor.server(options.dsn, options.console) if options.dsn else doctor.machine()


def _progress(options: argparse.Namespace) -> int:
    from . import overview

    if options.json or options.csv:
        print((overview.as_json if options.json else overview.as_csv)(options.learner))
    else:
        print(overview.as_text())
    return 0


def _reset(options: argparse.Namespace) -> int:
    from . import drills

    try:
        print(drills.reset(options.exercise, forget=options.forget))
    except drills.Unavailable as error:
        if "--forget" not in str(error) or not sys.stdin.isatty():
            raise
        if input(f"{str(error).partition('.')[0]}. Go on? [y/N] ").strip().lower() != "y":
            print("Nothing was changed.")
            return 1
        print(drills.reset(options.exercise, forget=True))
    return 0


def _servers(options: argparse.Namespace) -> int:
    from . import serve, servers

    if options.versions:
        return serve.versions()
    if options.fetch:
        servers.fetch()
        return 0
    return serve.pair()
