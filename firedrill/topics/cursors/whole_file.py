"""Stretch: a file that is whole, or the old one."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "the whole file, or the old one"

HINTS = (
    "What is in the file if the query fails after ten thousand rows?",
    "Write to another name in the same folder. Which call gives a file a new name, in one step, "
    "instead of the one that is there?",
    "copy_from_query(…, output=<a temporary name>, format='csv', header=True), then os.replace(); "
    "remove the temporary one on every other way out",
)

TRAPS = {
    "half": "The export failed, and the file is a part of the new one: yesterday's is gone.",
    "litter": "The export failed, and its temporary file is still there: one more each night.",
}

VIEW = """create or replace view report as
          select id, 1200000 / ({fails} - id) as cents, 'a;"b"' as note
          from generate_series(1, 20000) id"""
OLD = "id,cents,note\n1,2,yesterday\n"
NEVER, LATE = 30_000, 15_000  # the row at which it fails


async def check(exam: Examination) -> None:
    with servers.open() as stack, tempfile.TemporaryDirectory() as folder:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        path = Path(folder, "report.csv")

        async def prepare(fails: int) -> None:
            await look.execute(VIEW.format(fails=fails))
            await look.execute("grant select on report to encore")
            for one in Path(folder).iterdir():
                one.unlink()
            path.write_text(OLD, encoding="utf-8")

        await prepare(NEVER)
        good = await exam.run(conn, path, limit=20)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        exam.criterion(
            "20,000 rows and a header, as CSV",
            good.returned
            and len(lines) == 20_001
            and lines[:2] == ["id,cents,note", '1,40,"a;""b"""'],
            f"{len(lines)} lines" if good.returned else str(good),
        )
        alone = [one.name for one in Path(folder).iterdir()] == [path.name]
        await prepare(LATE)
        failed = await exam.run(conn, path, limit=20)
        told = isinstance(failed.error, asyncpg.DivisionByZeroError)
        kept = path.exists() and path.read_text(encoding="utf-8") == OLD
        others = len([one for one in Path(folder).iterdir() if one != path])
        exam.criterion(
            "it fails at row 15,000: the error arrives, and the old file is there, unchanged",
            told and kept,
            f"{'the error' if told else failed}, the old file is {'there' if kept else 'gone'}",
        )
        await prepare(NEVER)
        running = exam.start(conn, path, limit=20)
        await asyncio.sleep(0)
        await running.end()
        whole = path.exists() and (
            path.read_text(encoding="utf-8") == OLD
            or len(path.read_text(encoding="utf-8").splitlines()) == 20_001
        )
        litter = others + len([one for one in Path(folder).iterdir() if one != path])
        exam.criterion(
            "it is cancelled: the old file or the whole new one",
            whole,
            "one of them" if whole else "a part",
        )
        exam.criterion(
            "no other file is left in the folder, whatever happened",
            alone and not litter,
            "none is" if alone and not litter else f"{litter or 'one'} too many",
        )
        if not kept:
            exam.trap("half")
        elif litter:
            exam.trap("litter")
        conn.terminate()
