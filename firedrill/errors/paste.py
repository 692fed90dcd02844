"""What a paste holds: the errors that were raised, each with its class, text and frames."""

from __future__ import annotations

import re

_FRAME = r'File "?([^",\n]{1,300}?)"?, line \d+(?:, in ([\w.<>]+))?'
_NOTEBOOK = r"File ([^\s:,]{1,300}\.pyx?):\d+, in ([\w.]+)"
_PYTEST = r"([^\s\"'(:]{1,300}\.pyx?):\d+:?\s+in\s+([\w.<>]+)"
_NAME = r"[A-Za-z_][\w.]*"
_STATE = r" \([0-9A-Z]{5}\)"
_SAID = r"(?i)(?:sqlstate|sqlcode|code)\W{0,6}([0-9A-Z]{5})\b"
# How the classes of errors end: those of Python, of asyncpg, and psycopg's after the conditions.
_ENDINGS = (
    "Error", "Exception", "Warning", "Timeout", "Interrupt", "Group", "Rollback", "Cancelled",
    "DoesNotExist", "NotMatched", "NotFound", "MissingGreenlet", "DeadlockDetected", "Violation",
    "TooManyConnections", "Failure", "SqlStatementName", "PreparedStatement", "DuplicateDatabase",
    "DuplicateTable", "UndefinedTable", "UndefinedColumn", "UndefinedFunction", "DuplicateObject",
    "UndefinedObject", "FailedSqlTransaction", "ActiveSqlTransaction", "LockNotAvailable",
    "QueryCanceled", "AdminShutdown", "CrashShutdown", "NotInRepertoire", "UniqueViolation",
)  # fmt: skip
_OTHERS = ("Failed", "gaierror", "socket.gaierror", "LogRecord")


class Raised:
    """An error in a traceback: from `start` to `end` is its first line, in the paste's text."""

    __slots__ = ("end", "frames", "name", "start", "text")

    def __init__(self, name: str, text: str, frames: list[str], start: int, end: int) -> None:
        self.name, self.text, self.frames = name, text, frames
        self.start, self.end = start, end

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


def is_class(name: str) -> bool:
    """Is it the name of an error's class, with or without its module?"""
    short = name.rpartition(".")[2]
    return short in _OTHERS or (short[:1].isupper() and short.endswith(_ENDINGS))


def frame(path: str, function: str) -> str:
    """ "asyncpg/pool.py:_acquire": the folder, the file and the function."""
    parts = path.replace("\\", "/").rstrip("/").split("/")
    return f"{'/'.join(parts[-2:])}:{function.rpartition('.')[2]}"


def _frames(text: str) -> list[tuple[int, str]]:
    """Where each frame stands, and which it is."""
    marks = []
    at = 0
    for line in text.split("\n") if ".py" in text else []:
        begin = line.find("File ")
        match = None
        if begin >= 0:
            part = line[begin : begin + 500]
            match = re.match(_FRAME, part) or re.match(_NOTEBOOK, part)
        elif ".py" in line:
            match = re.search(_PYTEST, line[:400])
        if match:
            marks.append((at, frame(match[1], match[2] or "")))
        at += len(line) + 1
    return marks


def _text_after(text: str, at: int) -> tuple[str, int] | None:
    """What an error says after its class, and where its line ends; None within a sentence."""
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    rest = text[at : min(end, at + 3_000)]
    if rest.startswith(" (") and re.match(_STATE, rest):
        rest = rest[8:]
    if rest.startswith(" ") and rest.lstrip().startswith("Traceback (most recent"):
        return "", end  # the headline of a notebook's traceback
    if rest.strip() and not rest.startswith((": ", ":\t")) and rest.strip() != ":":
        return None
    said = rest.strip().removeprefix(":").strip()
    return ("" if said == "(no text)" else said), end


def errors(text: str) -> list[Raised]:
    """Those that a paste shows, in its order; the frames of each are those above it."""
    marks = _frames(text)
    found: list[Raised] = []
    at = 0
    for name in re.finditer(_NAME, text):
        if not is_class(name[0]):
            continue
        if name.start() and text[name.start() - 1] not in "\n \t([|:'":
            continue
        after = _text_after(text, name.end())
        if after is None:
            continue
        frames = []
        while at < len(marks) and marks[at][0] < name.start():
            frames.append(marks[at][1])
            at += 1
        found.append(Raised(name[0], after[0], frames, name.start(), after[1]))
    if found and at < len(marks) and not found[-1].frames:  # Sentry: the error above its frames
        found[-1].frames = [one for _, one in marks[at:]]
    return found


def class_alone(text: str) -> str:
    """The class, where nothing else was pasted."""
    alone = text.strip().removeprefix("<class '").removesuffix("'>").removesuffix("(no text)")
    alone = alone.strip().rstrip(":").strip()
    named = is_class(alone) or alone.lower().endswith(("error", "exception", "timeout"))
    return alone if named and re.fullmatch(_NAME, alone) else ""


def sqlstates(text: str) -> list[str]:
    """What is named as a SQLSTATE, or stands alone and looks like one."""
    said = re.findall(_SAID, text) if "code" in text.lower() or "state" in text.lower() else []
    alone = text.strip().upper()
    if len(alone) == 5 and alone.isalnum() and alone.isascii() and any(map(str.isdigit, alone)):
        said.append(alone)
    return [code.upper() for code in said]
