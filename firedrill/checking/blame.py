"""The lines of a learner's own code that led to an exception, without our frames."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

from ..expect import describe

PACKAGE = str(Path(__file__).parents[1])
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
SHOWN = 5  # lines of code, the innermost ones


def lines_of(error: BaseException) -> str:
    """For instance `line 3, in sell: price = await conn.fetchval(...)`, and the error below.

    Empty where none of the learner's lines was involved.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((PACKAGE, *LIBRARIES, "<frozen"))
        and not frame.filename.endswith(".pyx")  # asyncpg's, compiled: its path is relative
    ]
    if not frames:
        return ""
    lines = [f"line {frame.lineno}, in {frame.name}: {frame.line}" for frame in frames[-SHOWN:]]
    return "\n".join([*lines, describe(error)])
