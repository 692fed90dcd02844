"""`make atlas`: measure the rows on every version, write measured.json and VERSIONS.md, say what
changed.

python -m firedrill.atlas                       every row
python -m firedrill.atlas set-search-path       one row alone, printed, on its versions
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import sys
from typing import Any

from .. import releases
from ..servers import Unavailable, debian
from ..servers.versions import Wanted
from . import AXES, MEASURED, ROWS, Column, measured, page, rows

assert rows
AT_ONCE = 2  # processes: the course's machines have two cores


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"No such row: {', '.join(unknown)}. There are: {', '.join(sorted(ROWS))}")
        return 1
    try:
        answers, found = asyncio.run(_measure(names or list(ROWS)))
    except Unavailable as error:
        print(f"firedrill: {error}", file=sys.stderr)
        return 1
    if names:
        for name in names:
            print(ROWS[name].title)
            for column in AXES[ROWS[name].axis]:
                print(f"  {ROWS[name].axis} {column}: {answers[name].get(column, 'no answer')}")
        return 0
    missing = sorted(
        f"{name} on {column}: {answers[name].get(column, 'no answer')}"
        for name in ROWS
        for column in AXES[ROWS[name].axis]
        if answers[name].get(column, "not measured").startswith("not measured")
    )
    if missing:
        print("Not written, as these rows gave no answer:", *missing, sep="\n  ")
        return 1
    before = measured()["rows"]
    now: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "versions": found,
        "rows": {
            name: {
                "title": one.title,
                "axis": one.axis,
                "lesson": one.lesson,
                "answers": {column: answers[name][column] for column in AXES[one.axis]},
            }
            for name, one in ROWS.items()
        },
    }
    MEASURED.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n")
    page.PAGE.write_text(page.text(now))
    _say_what_changed(before, now["rows"])
    return 0


async def _measure(names: list[str]) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """The answers of the rows, by column; and the exact versions of each column."""
    answers: dict[str, dict[str, str]] = {name: {} for name in names}
    found: dict[str, Any] = {axis: {} for axis in AXES}
    turn = asyncio.Semaphore(AT_ONCE)

    async def column(axis: str, title: str, at: Column) -> None:
        mine = [name for name in names if ROWS[name].axis == axis]
        if not mine:
            return
        async with turn:
            environment = dict(os.environ)
            if at.asyncpg:
                folder = await asyncio.to_thread(releases.provide, at.asyncpg)
                environment["PYTHONPATH"] = os.pathsep.join(
                    filter(None, [str(folder), environment.get("PYTHONPATH")])
                )
            await asyncio.to_thread(debian.programs, Wanted(at.postgres, at.pgbouncer))
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", f"{__package__}.measure", at.postgres, at.pgbouncer, *mine),
                stdout=asyncio.subprocess.PIPE,
                env=environment,
            )
            assert process.stdout
            async for line in process.stdout:
                if not line.startswith(b"["):  # servers are being fetched
                    continue
                name, answer = json.loads(line)
                if name == "versions":
                    found[axis][title] = answer
                else:
                    answers[name][title] = answer
            await process.wait()

    async with asyncio.TaskGroup() as group:
        for axis, columns in AXES.items():
            for title, at in columns.items():
                group.create_task(column(axis, title, at))
    return answers, found


def _say_what_changed(before: dict[str, Any], now: dict[str, Any]) -> None:
    changed = 0
    for name, one in now.items():
        earlier = before.get(name, {}).get("answers", {})
        for column, answer in one["answers"].items():
            if column in earlier and earlier[column] != answer:
                changed += 1
                print(f"{name}, {one['axis']} {column}: {earlier[column]!r} is now {answer!r}")
    added = sorted(now.keys() - before.keys())
    print(f"{len(now)} rows, {changed} answers changed, {len(added)} rows are new.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
