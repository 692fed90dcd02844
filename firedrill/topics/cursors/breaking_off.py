"""An export that breaks off: what it leaves behind, and what the next one finds."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...checking.examination import Examination
from ...checking.waiting import until
from .orders import are_back

LIMIT = 20  # seconds
LEFT = 1000  # orders that the last export finds: two batches exactly
OPEN = """
    select count(*) from pg_stat_activity where usename = 'encore' and backend_xmin is not null"""
TABLES = """
    select string_agg(relname, ', ') from pg_class
    where relkind = 'r' and (relpersistence <> 'p' or relname not in (
        'customers', 'events', 'orders', 'payments', 'seats'))
      and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema')"""
KEEP = "delete from orders where id not in (select id from orders order by id limit $1)"
HUNG_UP = "the receiver has hung up"


@contextmanager
def folder_for_files() -> Iterator[str]:
    """The folder in which tempfile makes its files meanwhile."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="firedrill-export-") as folder:
        tempfile.tempdir = folder
        try:
            yield folder
        finally:
            tempfile.tempdir = before


async def breaks_off(exam: Examination, look: Any, pool: Any, folder: str) -> None:
    """The receiver hangs up; and then the export is cancelled while it rests."""
    calls = 0
    is_resting = asyncio.Event()

    async def send(_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise BrokenPipeError(HUNG_UP)

    async def rest(_: Any) -> None:
        is_resting.set()
        await asyncio.Event().wait()

    outcome = await exam.run(pool, send, limit=LIMIT)
    arrives = isinstance(outcome.error, BrokenPipeError) and str(outcome.error) == HUNG_UP
    left = await _left(look, pool, folder)
    exam.criterion(
        "the receiver hangs up: that arrives, and nothing is left behind",
        arrives and calls == 3 and not left,
        f"{outcome}; batches: {calls}, left: {left or 'nothing'}",
    )
    if left:
        return
    running = exam.start(pool, rest, limit=LIMIT)
    await until(lambda: is_resting.is_set() or running.done(), "the receiver rests", LIMIT)
    running.cancel()
    await running.wait(LIMIT)
    outcome = await running
    left = await _left(look, pool, folder)
    exam.criterion(
        "it is cancelled: that arrives, and nothing is left behind",
        isinstance(outcome.error, asyncio.CancelledError) and not left,
        f"{outcome}; left: {left or 'nothing'}",
    )


async def _left(look: Any, pool: Any, folder: str) -> str:
    """What an export has left behind."""
    await are_back(pool, 1)
    found = []
    if pool.get_idle_size() < pool.get_size():
        found.append("a connection is not back in the pool")
    if await look.fetchval(OPEN):
        found.append("a transaction is open")
    if tables := await look.fetchval(TABLES):
        found.append(f"tables: {tables}")
    if files := os.listdir(folder):
        found.append(f"files: {len(files)}")
    return ", ".join(found)


async def exports_again(exam: Examination, look: Any, pool: Any) -> None:
    """An export after those that broke off, with the connections that they had."""
    await look.execute(KEEP, LEFT)
    right = [
        tuple(row)
        for row in await look.fetch("""
        select id, total_cents, basket from orders order by id""")
    ]
    sent: list[Any] = []
    sizes: list[int] = []

    async def send(batch: Any) -> None:
        sizes.append(len(batch))
        sent.extend(tuple(order) for order in batch)

    outcome = await exam.run(pool, send, limit=LIMIT)
    is_right = outcome.returned and sent == right and 0 not in sizes
    exam.criterion(
        f"the next export sends the {LEFT} orders that are there then",
        is_right,
        f"{len(sent)} in batches of {', '.join(map(str, sizes[:4])) or 'none'}"
        + ("" if is_right or sent == right else ", and not as they are now")
        + ("" if outcome.returned else f"; {outcome}"),
    )
