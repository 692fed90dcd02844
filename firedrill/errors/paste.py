"""What a paste holds: the errors that were raised, each with its class, text and frames."""

from __future__ import annotations

import re

_FRAME = re.compile(r'File "?([^",\n]{1,300}?)"?, line \d+(?:, in ([\w.<>]+))?')
_NOTEBOOK = re.compile(r"File ([^\s:,]{1,300}\.pyx?):\d+, in ([\w.]+)")
_PYTEST = re.compile(r"([^\s\"'(:]{1,300}\.pyx?):\d+:?\s+in\s+([\w.<>]+)")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_SUFFIX = (
    r"[A-Z]\w*(?:Error|Exception|Warning|Timeout|Interrupt|Group|Rollback|Failed|Cancelled|DoesNotExist"
    r"|NotMatched|NotFound|MissingGreenlet|DeadlockDetected|TooManyConnections|[a-z](?:Violation|Failure"
    r"|Statement|Name|Database|Table|Column|Object|Function|Transaction|Available|Canceled|Shutdown))"
)
_KIND = re.compile(rf"(?:{_SUFFIX}|gaierror|Failed)")
_CLASS = rf"(?:[A-Za-z_]\w*\.)*(?:{_SUFFIX}|gaierror)"
_AFTER = re.compile(r"(?: \([0-9A-Z]{5}\))?(?::(?=\s|$)[ \t]*([^\n]*)|[ \t]*(?=\n|$))")
_ALONE = re.compile(
    rf"\s*(?:<class ')?(?P<name>{_CLASS})(?:'>)?\s*(?::\s*)?(?:\(no text\))?\s*", re.I
)
_STATE = re.compile(
    r"(?<![\w.-])(?=[0-9A-Z]{0,4}\d)(?:[0-9]{2}[0-9A-Z]{3}|[FHPX][0VX0][0-9A-Z]{3})(?![\w.-])"
)
_SAID = re.compile(r"(?i)(?:sqlstate|sqlcode|code)\W{0,6}([0-9A-Z]{5})\b")


class Raised:
    """An error in a traceback: `end` is where its first line ends, in the text of the paste."""

    __slots__ = ("end", "frames", "name", "start", "text")

    def __init__(self, name: str, text: str, frames: list[str], start: int, end: int) -> None:
        self.name, self.text, self.frames, self.start, self.end = name, text, frames, start, end

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]


def frame(path: str, function: str) -> str:
    """ "asyncpg/pool.py:_acquire": the folder, the file and the function."""
    parts = path.replace("\\", "/").rstrip("/").split("/")
    return f"{'/'.join(parts[-2:])}:{function.rpartition('.')[2]}"


def _frames(text: str) -> list[tuple[int, str]]:
    """Where each frame stands, and which it is."""
    marks = []
    at = 0
    for line in text.split("\n"):
        begin = line.find("File ")
        match = None
        if begin >= 0:
            match = _FRAME.match(line, begin) or _NOTEBOOK.match(line, begin)
        elif ".py" in line:
            match = _PYTEST.search(line[:400])
        if match:
            marks.append((at, frame(match[1], match[2] or "")))
        at += len(line) + 1
    return marks


def errors(text: str) -> list[Raised]:
    """Those that a paste shows, in its order; the frames of each are those above it."""
    marks = _frames(text)
    found: list[Raised] = []
    at = 0
    for name in _NAME.finditer(text):
        if not _KIND.fullmatch(name[0].rpartition(".")[2]):
            continue
        if name.start() and text[name.start() - 1] not in "\n \t([|:'":
            continue
        match = _AFTER.match(text, name.end())
        if not match:
            continue
        frames = []
        while at < len(marks) and marks[at][0] < name.start():
            frames.append(marks[at][1])
            at += 1
        said = (match[1] or "").strip()
        said = "" if said == "(no text)" else said
        found.append(Raised(name[0], said, frames, name.start(), match.end()))
    if found and at < len(marks) and not found[-1].frames:  # Sentry: the error above its frames
        found[-1].frames = [one for _, one in marks[at:]]
    return found


def class_alone(text: str) -> str:
    """The class, where nothing else was pasted."""
    match = _ALONE.fullmatch(text)
    return match["name"] if match else ""


def sqlstates(text: str) -> list[str]:
    """What looks like a SQLSTATE and is named as one, or stands alone."""
    said = [code.upper() for code in _SAID.findall(text)]
    alone = text.strip().upper()
    return said + ([alone] if _STATE.fullmatch(alone) else [])
