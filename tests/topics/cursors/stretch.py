"""Wrong and right answers to the stretch of exercise 13."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPORT = "select * from report"


async def onto_the_old_one(conn: Any, path: Path) -> None:
    await conn.copy_from_query(REPORT, output=path, format="csv", header=True)


async def left_lying_about(conn: Any, path: Path) -> None:
    unfinished = path.with_suffix(".part")
    await conn.copy_from_query(REPORT, output=unfinished, format="csv", header=True)
    os.replace(unfinished, path)


async def removed_first(conn: Any, path: Path) -> None:
    path.unlink(missing_ok=True)
    await conn.copy_from_query(REPORT, output=path, format="csv", header=True)


async def renamed_whatever_happens(conn: Any, path: Path) -> None:
    unfinished = path.with_suffix(".part")
    try:
        await conn.copy_from_query(REPORT, output=unfinished, format="csv", header=True)
    finally:
        os.replace(unfinished, path)


async def without_a_header(conn: Any, path: Path) -> None:
    unfinished = path.with_suffix(".part")
    try:
        await conn.copy_from_query(REPORT, output=unfinished, format="csv")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


async def error_hidden(conn: Any, path: Path) -> None:
    unfinished = path.with_suffix(".part")
    try:
        await conn.copy_from_query(REPORT, output=unfinished, format="csv", header=True)
        os.replace(unfinished, path)
    except Exception:
        unfinished.unlink(missing_ok=True)


async def in_memory(conn: Any, path: Path) -> None:
    """Right for a report of this size."""
    with tempfile.TemporaryFile() as file:
        await conn.copy_from_query(REPORT, output=file, format="csv", header=True)
        file.seek(0)
        text = file.read()
    with tempfile.TemporaryDirectory() as elsewhere:
        finished = Path(elsewhere, "finished")
        finished.write_bytes(text)
        os.replace(finished, path)


async def in_another_folder(conn: Any, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent.parent) as elsewhere:
        finished = Path(elsewhere, path.name)
        await conn.copy_from_query(REPORT, output=finished, format="csv", header=True)
        finished.replace(path)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (4, "half"): onto_the_old_one,
    (4, "litter"): left_lying_about,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (4, "half", removed_first),
    (4, "half", renamed_whatever_happens),
    (4, "", without_a_header),
    (4, "litter", error_hidden),
    (4, None, in_memory),
    (4, None, in_another_folder),
)
