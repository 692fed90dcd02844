"""N tasks in each of N processes run one function again and again.

How fast is it, how often does it fail, how often is its answer wrong?

    async def work(conn, number): ...           # returns True where the answer was right
    await load.run(work, dsn=dsn, processes=2, tasks=4, times=30)

The function is sent to the processes as source text, so it has to import or define within itself
what it needs beyond `asyncio` and `asyncpg`.
"""

from __future__ import annotations

import asyncio
import inspect
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import worker
from .expect import public_name


@dataclass
class Report:
    """Counts over all processes; latencies in seconds."""

    seconds: float = 0.0
    right: int = 0
    wrong: int = 0  # an answer, without an error, that the caller knows to be wrong
    errors: Counter[str] = field(default_factory=Counter)  # by class, as users write it
    latencies: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.right + self.wrong + self.errors.total()

    @property
    def per_second(self) -> float:
        return self.total / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """The latency, in seconds, that `percent` of the calls did not exceed (nearest rank)."""
        ranked = sorted(self.latencies)
        return (
            ranked[min(len(ranked) - 1, max(0, round(percent / 100 * len(ranked) + 0.5) - 1))]
            if ranked
            else 0.0
        )

    def __repr__(self) -> str:
        lines = [
            f"{self.total} calls: {self.right} right, {self.wrong} wrong, "
            f"{self.errors.total()} errors"
        ]
        return "\n".join(
            lines + [f"  {count:>5} x {name}" for name, count in self.errors.most_common()]
        )


async def run(
    work: Callable[..., Any],
    *,
    dsn: str,
    processes: int = 1,
    tasks: int = 1,
    times: int = 1,
    **options: Any,
) -> Report:
    """Call `work(connection, number)` `times` times in each of `tasks` connections per process.

    Each task has its own connection, made with `dsn` and `options` (those of `asyncpg.connect`).
    All processes begin together, when every connection is there. A falsy result counts as wrong.
    """
    source = textwrap.dedent(inspect.getsource(work))
    workers = await asyncio.gather(*(worker.start() for _ in range(processes)))
    try:
        await asyncio.gather(
            *(
                one(
                    f"from firedrill import load\n{source}\n"
                    f"runs = await load.prepare({work.__name__}, dsn, options, "
                    f"{tasks}, {times}, {tasks * times} * {number})",
                    dsn=dsn,
                    options=options,
                )
                for number, one in enumerate(workers)
            )
        )
        begun = time.perf_counter()
        parts: list[Report] = await asyncio.gather(*(one.run("await runs()") for one in workers))
        seconds = time.perf_counter() - begun
    finally:
        for one in workers:  # what they had to say is here, or one of them hangs
            one.kill()
            await one.stop()
    report = Report(seconds)
    for part in parts:
        report.right += part.right
        report.wrong += part.wrong
        report.errors += part.errors
        report.latencies += part.latencies
    return report


async def prepare(
    work: Callable[..., Any], dsn: str, options: dict[str, Any], tasks: int, times: int, first: int
) -> Any:
    """In a process: connect, and return the function that runs the load and gives its `Report`."""
    import asyncpg

    connections = [await asyncpg.connect(dsn, **options) for _ in range(tasks)]
    report = Report()

    async def one_task(task: int) -> None:
        for turn in range(times):
            before = time.perf_counter()
            try:
                good = await work(connections[task], first + task * times + turn)
            except Exception as error:
                report.errors[public_name(type(error))] += 1
            else:
                report.right += bool(good)
                report.wrong += not good
            report.latencies.append(time.perf_counter() - before)
        # A task that is done leaves: behind PgBouncer in session mode, another one may wait for its
        # server connection.
        connections[task].terminate()

    async def runs() -> Report:
        await asyncio.gather(*map(one_task, range(tasks)))
        return report

    return runs
