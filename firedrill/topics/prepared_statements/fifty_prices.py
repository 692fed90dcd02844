"""Fifty prices in two round trips: one statement, whose argument is an array."""

from __future__ import annotations

from typing import Any

import asyncpg

from ... import wire
from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome, shown
from .kept_statements import pgbouncer

TITLE = "fifty prices in two round trips"

HINTS = (
    "Count what the starter sends: how often does it wait for PgBouncer?",
    "PostgreSQL takes an array as one argument, and compares with all of its elements.",
    "where label = any($2), then put the rows into the order of the labels in Python: a dictionary "
    "does it.",
)

TRAPS = {
    "at once": "A connection does one thing at a time: of several queries at once on one "
    "connection, the first is answered.",
    "whole event": "More seats come over the wire than were asked for, to be thrown away here.",
    "a statement for each size": "The query's text depends on the event or on the number of "
    "labels: each is one more statement in asyncpg's cache, in PgBouncer's and on the server.",
    "pasted": "The labels became part of the query's text. One with a quote in it is SQL now.",
}

LABELS = [f"{row}{number}" for row in "ABCDE" for number in range(1, 11)]
UNUSUAL = {
    "a label twice: its price twice": ["A1", "B2", "A1"],
    "a label that does not exist: None": ["A1", "no such seat", "B2"],
    "a label with a quote in it: None": ["O'Hara", "A1"],
    "no labels: an empty list": [],
}


async def check(exam: Examination) -> None:
    async with pgbouncer(max_prepared_statements=200) as stack:
        look = await admin(stack)
        prices = dict(await look.fetch("select label, price_cents from seats where event_id = 1"))
        with wire.tap(stack) as tap:
            conn = await asyncpg.connect(
                tap.dsn("transaction"), server_settings={"application_name": "shop"}
            )
            wanted = {"the prices of 50 seats, in the order of their labels": LABELS} | UNUSUAL
            for what, labels in wanted.items():
                outcome = await exam.run(conn, 1, list(labels))
                right = [prices.get(label) for label in labels]
                good = outcome.value == right
                exam.criterion(what, good, "right" if good else _said(outcome, right))
                if outcome.error and "another operation is in progress" in str(outcome.error):
                    exam.trap("at once")
                if labels == UNUSUAL["a label with a quote in it: None"] and isinstance(
                    outcome.error, asyncpg.PostgresError
                ):
                    exam.trap("pasted")
            if all(met for _, met, _ in exam.criteria):
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
    await exam.run(conn, 2, LABELS[:-1])
    parsed = any(event.message == "Parse" for event in tap.events if event.side == "client")
    exam.criterion(
        "50 seats, asked for again: at most 2 round trips",
        1 <= trips <= 2,
        "1 round trip" if trips == 1 else f"{trips} round trips",
    )
    exam.criterion(
        "no more rows come than seats were asked for",
        rows <= 50,
        f"{rows} row{'s' * (rows != 1)}",
    )
    exam.criterion(
        "49 seats of another event are asked for with the same statement",
        not parsed,
        "another statement was parsed" if parsed else "the same",
    )
    if rows > 50:
        exam.trap("whole event")
    elif parsed and not exam.fallen and trips <= 2:
        exam.trap("a statement for each size")


def _said(outcome: Outcome, right: list[Any]) -> str:
    if not isinstance(outcome.value, list):
        return str(outcome)
    if len(outcome.value) != len(right):
        return f"{len(outcome.value)} prices for {len(right)} labels"
    first = next(at for at, price in enumerate(right) if outcome.value[at] != price)
    return f"at place {first}, {shown(outcome.value[first])} instead of {right[first]}"
