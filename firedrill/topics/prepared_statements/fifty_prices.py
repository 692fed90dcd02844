"""Fifty prices in two round trips: one statement, whose argument is an array."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .kept_statements import pgbouncer

TITLE = "fifty prices in two round trips"

HINTS = (
    "Count what the starter sends: how often does it wait for PgBouncer?",
    "PostgreSQL takes an array as one argument, and compares with all of its elements.",
    "where label = any($2), then put the rows into the order of the labels in Python: a dictionary "
    "does it.",
)

TRAPS = {
    "at once": "A connection does one thing at a time: of fifty queries at once on one connection, "
    "the first is answered.",
    "whole event": "Every seat of the event comes over the wire, and half of them are thrown away "
    "here.",
    "a statement for each size": "The query's text depends on how many labels there are: each size "
    "is a statement of its own, in asyncpg's cache, in PgBouncer's and on the server.",
    "pasted": "The labels became part of the query's text. One with a quote in it is SQL now.",
}

LABELS = [f"{row}{number}" for row in "ABCDE" for number in range(1, 11)]
ODD = ["A1", "no such seat", "O'Hara", "A1"]


async def check(exam: Examination) -> None:
    async with pgbouncer(max_prepared_statements=200) as stack:
        look = await admin(stack)
        prices = dict(await look.fetch("select label, price_cents from seats where event_id = 1"))
        with wire.tap(stack) as tap:
            conn = await asyncpg.connect(
                tap.dsn("transaction"), server_settings={"application_name": "shop"}
            )
            outcome = await exam.run(conn, 1, list(LABELS))
            good = outcome.value == [prices[one] for one in LABELS]
            exam.criterion(
                "the prices of 50 seats, in the order of their labels",
                good,
                "right" if good else _said(outcome),
            )
            if outcome.error and "another operation is in progress" in str(outcome.error):
                exam.trap("at once")
            outcome = await exam.run(conn, 1, list(ODD))
            good = outcome.value == [prices["A1"], None, None, prices["A1"]]
            exam.criterion(
                "a label twice, one that does not exist (None), and one with a quote in it",
                good,
                "right" if good else _said(outcome),
            )
            if isinstance(outcome.error, asyncpg.PostgresSyntaxError):
                exam.trap("pasted")
            if outcome.returned:
                await _wire(exam, tap, conn)
            conn.terminate()


async def _wire(exam: Examination, tap: wire.Tap, conn: Any) -> None:
    tap.clear()
    await exam.run(conn, 1, list(LABELS))
    trips = tap.round_trips("shop")
    rows = sum(
        event.count for event in tap.events if event.side == "client" and event.message == "DataRow"
    )
    tap.clear()
    await exam.run(conn, 1, LABELS[:-1])
    parsed = any(event.message == "Parse" for event in tap.events if event.side == "client")
    exam.criterion(
        "50 seats, asked for again: at most 2 round trips",
        1 <= trips <= 2,
        "1 round trip" if trips == 1 else f"{trips} round trips",
    )
    exam.criterion("no more rows come than seats were asked for", rows <= 50, f"{rows} rows")
    exam.criterion(
        "49 seats are asked for with the same statement",
        not parsed,
        "parsed anew" if parsed else "the same",
    )
    if rows > 50:
        exam.trap("whole event")
    elif parsed and not exam.fallen and trips <= 2:
        exam.trap("a statement for each size")


def _said(outcome: Outcome) -> str:
    return "others came back" if isinstance(outcome.value, list) else str(outcome)
