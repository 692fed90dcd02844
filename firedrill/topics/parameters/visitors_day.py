"""What goes on sale on a visitor's day: a process, a session and a visitor, in three time zones."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination

TITLE = "what goes on sale on a visitor's day"

HINTS = (
    "In whose zone is `day`? Three zones take part: the visitor's, the process's, the session's. "
    "Print what arrives as $1.",
    "A day is the time from one midnight of the visitor's to the next one. Both are moments, and "
    "it is not always 24 hours.",
    "datetime.combine(day, time(), ZoneInfo(zone)), and the same with the next day; or AT TIME "
    "ZONE with the visitor's zone, in SQL. An unknown zone is a KeyError, ValueError or OSError "
    "of ZoneInfo. PostgreSQL is no judge of names: it takes Berlin5 for a zone, and its error "
    "aborts a transaction.",
)

TRAPS = {
    "process": "The answer depends on the TZ of the process: a datetime without a zone is taken "
    "in it.",
    "session": "The answer depends on the session's TimeZone. It is not the visitor's.",
    "24 hours": "Right on most days. On the two on which the clocks change, a day has 23 or 25 "
    "hours.",
    "UTC": "The same everywhere, and it is the day in UTC, not the visitor's.",
    "upper end": "The first moment of the next day was taken for a part of this one.",
    "posix": "PostgreSQL takes any word with a number for a POSIX zone: this one is in no list.",
    "aborted": "Refused, but by PostgreSQL: the caller's transaction is aborted, and whatever it "
    "had done is lost.",
    "order": "The events are right. They come in the order in which PostgreSQL happens to find "
    "them.",
    "left": "The answers are right, and the session keeps the visitor's TimeZone. What "
    "follows in the caller's transaction, or the next borrower, has it.",
}

# Around the ends of a day of 25 hours and of one with 23, in Berlin. The later one of a day is
# stored first.
NIGHT_SALES = """
    insert into events (title, venue, starts_at, on_sale_at)
    select title, 'Arena', '2027-06-01 20:00+02', on_sale_at::timestamptz
    from (values ('Long Night', '2026-10-25 23:30+01'),
                 ('First Minute', '2026-10-25 00:00+02'),
                 ('Next Midnight', '2026-10-26 00:00+01'),
                 ('Short Night', '2027-03-28 23:30+02'),
                 ('Small Hours', '2027-03-29 00:30+02')) night (title, on_sale_at)"""

DAYS = (
    (date(2026, 6, 1), "Europe/Berlin"),
    (date(2026, 5, 31), "Pacific/Honolulu"),
    (date(2026, 6, 1), "Pacific/Honolulu"),
    (date(2026, 11, 27), "Asia/Tokyo"),
)

CHANGING_DAYS = ((date(2026, 10, 25), "Europe/Berlin"), (date(2027, 3, 28), "Europe/Berlin"))

NEXT_MIDNIGHT = "Next Midnight"
# What PostgreSQL takes for a zone, and no list of zones has; and what neither takes.
POSIX_FORMS = ("Berlin5", "Mars/Phobos7", "UTC+9")
NO_ZONES = ("Asia/Tokio", "", "Europe", "../UTC")

# POSIX forms, which need no time zone database: a slim container may come without one.
PROCESSES = {"UTC": "UTC0", "Asia/Tokyo": "JST-9", "America/New_York": "EST5EDT,M3.2.0,M11.1.0"}

SESSIONS = ("UTC", "Asia/Tokyo", "Pacific/Honolulu")

# The title of each event, with the visitor's zone in PostgreSQL: what is right.
TITLES = """
    select title from events where (on_sale_at at time zone $2)::date = $1
    order by on_sale_at, id"""


async def check(exam: Examination) -> None:
    answers: dict[tuple[str, str], list[Any]] = {}
    left = []
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(NIGHT_SALES)
        begins = {
            row["title"]: row["on_sale_at"]
            for row in await look.fetch("select title, on_sale_at from events")
        }
        right = [await _titles(look, day, zone) for day, zone in DAYS + CHANGING_DAYS]
        in_utc = [await _titles(look, day, "UTC") for day, _ in DAYS + CHANGING_DAYS]
        for process, posix in PROCESSES.items():
            for session in SESSIONS:
                conn = await asyncpg.connect(
                    stack.postgres.dsn(), server_settings={"timezone": session}
                )
                outcomes = []
                for day, zone in DAYS + CHANGING_DAYS:
                    with _process_in(posix):
                        outcomes.append(await exam.run(conn, day, zone, limit=3))
                    if not outcomes[-1].returned:
                        exam.criterion(
                            f"{day} in {zone}; TZ={process}, TimeZone={session}",
                            False,
                            str(outcomes[-1]),
                        )
                        return
                answers[process, session] = [_listed(outcome.value) for outcome in outcomes]
                is_usable, _ = await usable(conn)
                left.append(not is_usable or await conn.fetchval("show timezone") != session)
                conn.terminate()
        here = answers["UTC", "UTC"]
        usual, changing = len(DAYS), len(CHANGING_DAYS)
        same = [_sorted(one) == _sorted(wanted) for one, wanted in zip(here, right, strict=True)]
        good = sum(same[:usual])
        exam.criterion("days in three zones", good == usual, f"{good} of {usual} are right")
        turns = sum(same[usual:])
        exam.criterion(
            "the two days on which the clocks change",
            turns == changing,
            f"{turns} of {changing} are right",
        )
        mixed = [
            one
            for one, met in zip(here, same, strict=True)
            if met and [begins[title] for title in one] != sorted(begins[title] for title in one)
        ]
        exam.criterion(
            "in the order of on_sale_at",
            not mixed,
            f"{mixed[0]} came back" if mixed else "they are",
        )
        moved = [process for process in PROCESSES if answers[process, "UTC"] != here]
        exam.criterion(
            "the same wherever the process is",
            not moved,
            f"other events with TZ={moved[0]}" if moved else f"the same in {', '.join(PROCESSES)}",
        )
        turned = [session for session in SESSIONS if answers["UTC", session] != here]
        exam.criterion(
            "the same whatever the session's TimeZone is",
            not turned,
            f"other events with TimeZone={turned[0]}"
            if turned
            else f"the same with {', '.join(SESSIONS)}",
        )
        exam.criterion(
            "the session is left as it was",
            not any(left),
            "it is"
            if not any(left)
            else "another TimeZone, or an open transaction, is left behind",
        )
        conn = await asyncpg.connect(stack.postgres.dsn())
        taken = await _no_zones(exam, conn)
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        aborted = turned_inside = False
        if is_usable:
            aborted, turned_inside = await _in_a_transaction(exam, conn)
    if moved:
        exam.trap("process")
    elif turned:
        exam.trap("session")
    elif good == usual and any(
        isinstance(one, list) and {*map(repr, one)} - {*map(repr, wanted)} == {repr(NEXT_MIDNIGHT)}
        for one, wanted in zip(here, right, strict=True)
    ):
        exam.trap("upper end")
    elif good == usual and turns < changing:
        exam.trap("24 hours")
    elif here == in_utc:
        exam.trap("UTC")
    if (any(left) or turned_inside) and good == usual:
        exam.trap("left")
    if aborted and not exam.fallen:
        exam.trap("aborted")
    if taken and not exam.fallen:
        exam.trap("posix")
    if mixed:
        exam.trap("order")


async def _no_zones(exam: Examination, conn: Any) -> bool:
    """Whether a POSIX form was taken for the name of a zone."""
    taken, wrong = False, ""
    for zone in (*POSIX_FORMS, *NO_ZONES):
        outcome = await exam.run(conn, date(2026, 6, 1), zone, limit=3)
        taken |= zone in POSIX_FORMS and outcome.returned
        if not isinstance(outcome.error, ValueError):
            wrong = wrong or f"{zone!r}: {outcome}"
        if outcome.hung:
            break
    exam.criterion("zones that do not exist: ValueError", not wrong, wrong or "it is")
    return taken


async def _in_a_transaction(exam: Examination, conn: Any) -> tuple[bool, bool]:
    """Whether the caller's transaction was aborted, and whether its TimeZone is another."""
    aborted, zones = False, set()
    for day, zone in ((date(2026, 6, 1), "Asia/Tokyo"), (date(2026, 6, 1), "Asia/Tokio")):
        transaction = conn.transaction()
        await transaction.start()
        await conn.execute("set local timezone = 'America/New_York'")
        await exam.run(conn, day, zone, limit=3)
        try:
            zones.add(await conn.fetchval("show timezone"))
            await transaction.rollback()
        except asyncpg.InFailedSQLTransactionError:
            aborted = True
            await transaction.rollback()
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            zones.add(type(error).__name__)
            break
    turned = bool(zones - {"America/New_York"})
    exam.criterion(
        "the caller's transaction goes on, in its own TimeZone",
        not aborted and not turned,
        "it was aborted" if aborted else f"TimeZone: {', '.join(sorted(zones))}",
    )
    return aborted, turned


@contextlib.contextmanager
def _process_in(zone: str) -> Iterator[None]:
    """The learner's function may call others of the notebook, so it runs here, and this process
    moves for a moment."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


async def _titles(look: Any, day: date, zone: str) -> list[str]:
    return [row["title"] for row in await look.fetch(TITLES, day, zone)]


def _sorted(titles: Any) -> Any:
    return sorted(map(repr, titles)) if isinstance(titles, list) else titles


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
