"""One slow printer: a callback that neither stops the event loop nor prints two tickets at once."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.waiting import until
from ...servers.server import ROLE
from .ongoing import SOON, comes, in_part, state

TITLE = "one slow printer"

HINTS = (
    "Where does a plain callback run, and what runs there besides?",
    "The callback may do no more than note the payload. Somebody else takes one after the other, "
    "and lives on when one fails.",
    "queue = asyncio.Queue(); the callback does queue.put_nowait(payload). Then, in a loop: await "
    "queue.get(), and await asyncio.to_thread(print_ticket, seat) in a try. remove_listener in "
    "finally.",
)

TRAPS = {
    "on the loop": "The printer was called on the event loop: while it prints, the whole program "
    "stands still.",
    "all at once": "Several tickets went to the printer at the same time: a task or a thread for "
    "each.",
    "stops": "One ticket failed, and those behind it were never printed.",
}

BROKEN_SEAT = "Z9"
SEATS = ["A1", "A2", BROKEN_SEAT, "A3", "A2", "A4", "A5"]  # A2 was given back
LISTENS = f"""
    select count(*) from pg_stat_activity
    where usename = '{ROLE}' and state = 'idle' and query ilike 'listen%'"""
ALL = 30.0  # seconds; a right answer needs two of them


async def check(exam: Examination) -> None:
    await in_part(exam, _tickets_printed, limit=ALL)


async def _tickets_printed(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())
        printer = _Printer()
        refunds: list[str] = []
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()

        async def listens() -> bool:
            return bool(await look.fetchval(LISTENS))

        loop.set_exception_handler(lambda *_: None)  # of what its callbacks raise
        running = exam.start(conn, printer, limit=ALL)
        try:
            await until(listens, "it listens", SOON)
            await conn.add_listener("refunds", lambda *arguments: refunds.append(arguments[3]))
            for seat in SEATS:
                await look.execute("select pg_notify('tickets', $1)", seat)
            await comes(running, lambda: printer.busy, "it prints")
            await asyncio.sleep(0.2)
            printer.others_ran.set()
            good = [seat for seat in SEATS if seat != BROKEN_SEAT]
            everything = await comes(
                running, lambda: len(printer.printed) >= len(good), "all tickets are printed"
            )
            how = await state(running)
        finally:
            cancelled = await running.end()
            loop.set_exception_handler(before)
        exam.criterion(
            "while one ticket is printed, the rest of the program goes on",
            printer.waited,
            "it went on" if printer.waited else "nothing else could run for 2 s",
            timed=True,
        )
        exam.criterion("one ticket at a time", printer.most <= 1, f"{printer.most} at once")
        exam.criterion(
            "each is printed, but for the one that fails, in the order of the sales",
            printer.printed == good,
            f"{', '.join(printer.printed) or 'nothing'} printed, {how}",
        )
        tries = printer.broken
        exam.criterion(
            "the one that fails is left out", tries <= 1, f"given to the printer {tries} times"
        )
        closed = conn.is_closed()
        channels = (
            [] if closed else [row[0] for row in await conn.fetch("select pg_listening_channels()")]
        )
        channels = [channel for channel in channels if channel != "refunds"]
        exam.criterion(
            "cancelled, it ends, and the connection is open and listens no longer",
            cancelled and not closed and not channels,
            "it does not end"
            if not cancelled
            else "the connection was closed, and it is the caller's"
            if closed
            else "it still listens"
            if channels
            else "it listens no longer",
            timed=not cancelled,
        )
        if cancelled and not closed:
            exam.criterion(
                "the caller listens to the same channel afterwards, and hears",
                *await _hears(conn, look),
            )
            await look.execute("select pg_notify('refunds', 'C1')")
            hears = bool(await until(lambda: refunds, "the caller hears of a refund", SOON))
            exam.criterion(
                "and to its other channels, as before",
                hears,
                "it hears" if hears else "it does not hear any more",
            )
        conn.terminate()
    if not printer.waited:
        exam.trap("on the loop")
    elif printer.most > 1:
        exam.trap("all at once")
    elif not everything and printer.printed == SEATS[: SEATS.index(BROKEN_SEAT)]:
        exam.trap("stops")


class _Printer:
    """Takes its time for A1: until somebody else could do something, or for two seconds."""

    def __init__(self) -> None:
        self.printed: list[str] = []
        self.others_ran = threading.Event()
        self.busy = self.most = self.broken = 0
        self.waited = True
        self._lock = threading.Lock()

    def __call__(self, seat: str) -> None:
        with self._lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        try:
            if seat == "A1":
                self.waited = self.others_ran.wait(2)
            time.sleep(0.03)
            if seat == BROKEN_SEAT:
                self.broken += 1
                raise RuntimeError(f"paper jam: {seat}")
            self.printed.append(seat)
        finally:
            with self._lock:
                self.busy -= 1


async def _hears(conn: Any, look: Any) -> tuple[bool, str]:
    heard: list[str] = []
    await conn.add_listener("tickets", lambda *arguments: heard.append(arguments[3]))
    await look.execute("select pg_notify('tickets', 'B1')")
    hears = bool(await until(lambda: heard, "the caller hears", SOON))
    return hears, "it hears" if hears else "asyncpg believed that it was listening still"
