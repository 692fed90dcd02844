"""The ways in which one error reaches `firedrill explain`: copied, cut, logged, wrapped."""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable

from firedrill.expect import describe


def whole(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def last_line(error: BaseException) -> str:
    only = traceback.format_exception_only(error)
    return only[-1] if str(error) == "" else "".join(only)


def two_frames(error: BaseException) -> str:
    """The shortest tail that issue 18 asks for: the error line, and the two frames above it."""
    lines = whole(error).splitlines()
    begin = max((at for at, line in enumerate(lines) if line.startswith("Traceback")), default=0)
    frames = [at for at in range(begin, len(lines)) if re.match(r' +File "', lines[at])]
    return "\n".join(lines[frames[-2] :] if len(frames) >= 2 else lines)


def other_names(error: BaseException) -> str:
    return re.sub(r"\b\d{5}\b", "5432", describe(error)).replace("encore", "billing-prod")


def each_line(before: str, after: str = "") -> Callable[[BaseException], str]:
    return lambda error: "\n".join(f"{before}{line}{after}" for line in whole(error).splitlines())


def wrapped(error: BaseException) -> str:
    """By a terminal of 60 columns, in the middle of words."""
    return "\n".join(
        line[at : at + 60]
        for line in whole(error).splitlines()
        for at in range(0, max(len(line), 1), 60)
    )


def chained(error: BaseException) -> str:
    """As its handler failed to clean up, and a framework put its own error on top."""
    return whole(error) + (
        "\nThe above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n"
        '  File "/app/service/orders.py", line 31, in order\n'
        "    raise OrderFailed(seat) from error\n"
        "service.orders.OrderFailedError: A1\n"
    )


PASTES: dict[str, Callable[[BaseException], str]] = {
    "the line that expect prints": describe,
    "the last line of a traceback": last_line,
    "a whole traceback": whole,
    "the last two frames": two_frames,
    "a log line": lambda error: f"2026-11-22 09:00:01,123 ERROR shop.db {whole(error).strip()}",
    "other names and numbers": other_names,
    "a JSON log": lambda error: json.dumps({"level": "error", "exc_info": whole(error)}),
    "JSON in JSON": lambda error: json.dumps({"log": json.dumps({"exc_info": whole(error)})}),
    "colours": each_line("\x1b[31m", "\x1b[0m"),
    "docker compose": each_line("web-1  | "),
    "Kubernetes": each_line("2026-11-22T09:00:01.123456789Z stderr F "),
    "the journal": each_line("Nov 22 09:00:01 box shop[123]: "),
    "an exception group": each_line("    | "),
    "a narrow terminal": wrapped,
    "an error of the service on top": chained,
}
