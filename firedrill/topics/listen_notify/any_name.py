"""Warm-up: a notification whose channel and text are what they were."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "to the channel of that name"

HINTS = (
    'Lesson 14, "The channel that nobody hears": under which name did add_listener listen, and '
    "what does NOTIFY make of a name without quotes?",
    "NOTIFY takes no parameters. There is a function that does the same, and takes both as text.",
    'await conn.execute("select pg_notify($1, $2)", channel, seat)',
)

TRAPS = {
    "folded": "It went to seatmap: those who listen to SeatMap hear nothing, without an "
    "error. SQL folds a name without quotes to lower case.",
    "text": "The name of the channel arrives, and the seat is part of the SQL text: the ' in it "
    "ends the string.",
}

CHANNEL, SEAT = "SeatMap", "L'1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look, conn = await admin(stack), await asyncpg.connect(stack.postgres.dsn())
        heard: list[tuple[str, str]] = []
        for channel in (CHANNEL, CHANNEL.lower()):
            await look.add_listener(channel, lambda *event: heard.append((event[2], event[3])))
        plain = await exam.run(conn, CHANNEL, "A1")
        await look.execute("select 'a round trip'")  # what was sent before it has arrived
        first = list(heard)
        outcome = await exam.run(conn, CHANNEL, SEAT)
        await look.execute("select 'a round trip'")
        arrived = [(CHANNEL, "A1"), (CHANNEL, SEAT)]
        exam.criterion(
            f"{CHANNEL} hears of the seats A1 and {SEAT}, once of each, and no other channel does",
            plain.returned and outcome.returned and heard == arrived,
            _told(heard) if plain.returned and outcome.returned else f"{_failed(plain, outcome)}",
        )
        if (CHANNEL.lower(), "A1") in first:
            exam.trap("folded")
        elif first == arrived[:1] and isinstance(outcome.error, asyncpg.PostgresSyntaxError):
            exam.trap("text")


def _failed(*outcomes: object) -> str:
    return "; ".join(str(outcome) for outcome in outcomes if not getattr(outcome, "returned", True))


def _told(heard: list[tuple[str, str]]) -> str:
    return ", ".join(f"{channel}: {seat}" for channel, seat in heard) or "nobody heard anything"
