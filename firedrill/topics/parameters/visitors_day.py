"""Exercise 06: values on their way into queries: a visitor's text, a visitor's day, a customer's money."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import asyncpg

from ... import servers
from ...servers.server import SUPERUSER
from . import searching
from ...checking.examination import Examination
from .searching import usable

NAME = "06_parameters"


# Task 2: what goes on sale on a visitor's day

# Around the ends of a day of 25 hours and of one with 23, in Berlin. The later one of a day is stored first.
NIGHT_SALES = """
    insert into events (title, venue, starts_at, on_sale_at)
    select title, 'Arena', '2027-06-01 20:00+02', on_sale_at::timestamptz
    from (values ('Long Night', '2026-10-25 23:30+01'), ('First Minute', '2026-10-25 00:00+02'),
                 ('Next Midnight', '2026-10-26 00:00+01'), ('Short Night', '2027-03-28 23:30+02'),
                 ('Small Hours', '2027-03-29 00:30+02')) night (title, on_sale_at)"""
DAYS = (
    (date(2026, 6, 1), "Europe/Berlin"),
    (date(2026, 5, 31), "Pacific/Honolulu"),
    (date(2026, 6, 1), "Pacific/Honolulu"),
    (date(2026, 11, 27), "Asia/Tokyo"),
)
CHANGING_DAYS = ((date(2026, 10, 25), "Europe/Berlin"), (date(2027, 3, 28), "Europe/Berlin"))
# POSIX forms, which need no time zone database: a slim container may come without one.
PROCESSES = {"UTC": "UTC0", "Asia/Tokyo": "JST-9", "America/New_York": "EST5EDT,M3.2.0,M11.1.0"}
SESSIONS = ("UTC", "Asia/Tokyo", "Pacific/Honolulu")


@contextlib.contextmanager
def _process_in(zone: str) -> Iterator[None]:
    """The learner's function may call others of the notebook, so it runs here, and this process moves for a moment."""
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


async def _on_sale(exam: Examination) -> None:
    answers: dict[tuple[str, str], list[Any]] = {}
    left = []
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
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
        outcome = await exam.run(conn, date(2026, 6, 1), "Asia/Tokio", limit=3)
        exam.criterion(
            "a zone that does not exist: ValueError",
            isinstance(outcome.error, ValueError),
            str(outcome),
        )
        exam.criterion("the connection can be used afterwards", *await usable(conn))
    if moved:
        exam.trap("process")
    elif turned:
        exam.trap("session")
    elif good == usual and turns < changing:
        exam.trap("24 hours")
    elif here == in_utc:
        exam.trap("UTC")
    if any(left) and good == usual:
        exam.trap("left")
    if mixed:
        exam.trap("order")


async def _titles(look: Any, day: date, zone: str) -> list[str]:
    return [
        row["title"]
        for row in await look.fetch(
            """
        select title from events where (on_sale_at at time zone $2)::date = $1 order by on_sale_at, id""",
            day,
            zone,
        )
    ]


def _sorted(titles: Any) -> Any:
    return sorted(map(repr, titles)) if isinstance(titles, list) else titles


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


# Task 3: a payment that loses no cent

# `float` of each of these, times 100, is a little less than a whole number.
UNDER = ("19.99", "0.29", "8.20", "4.35", "64.10", "79.99")
EXACT: tuple[tuple[Any, int], ...] = (
    (Decimal("19.99"), 1999),
    ("19.99", 1999),
    (17, 1700),
    ("17", 1700),
    (Decimal("0.01"), 1),
    ("1234.5", 123450),
    (Decimal("1e1"), 1000),
    (" 5 ", 500),
    ("1_0.00", 1000),
    ("1e1", 1000),
)
INEXACT: tuple[Any, ...] = (
    0.019,
    10.005,
    0.1 + 0.2,
    Decimal("1.9") / 100,
    "17.005",
    Decimal("19.9900000000000000000000000001"),
)  # Decimal computes with 28 digits
NO_AMOUNTS: tuple[Any, ...] = (
    "",
    "five",
    "12,50",
    None,
    float("nan"),
    float("inf"),
    "Infinity",
    -5,
    "0",
    30_000_000,
    "1e400",
    True,
)


async def _charge(exam: Examination) -> None:
    with servers.open() as stack:
        conn = await asyncpg.connect(stack.postgres.dsn())
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        await look.execute("delete from payments")

        async def stored() -> list[int]:
            return [
                row[0]
                for row in await look.fetch(
                    "delete from payments where order_id = 7 returning amount_cents"
                )
            ]

        async def right(what: str, amounts: Sequence[tuple[Any, int]]) -> list[int]:
            off, said = [], ""
            for amount, cents in amounts:
                outcome = await exam.run(conn, 7, amount, limit=3)
                found = await stored()
                if outcome.value != cents or found != [cents]:
                    off.append(sum(found) - cents)
                    said = said or (
                        f"{amount!r}: {outcome}"
                        if not outcome.returned
                        else f"{amount!r}: {found or 'nothing'} stored, {outcome.value!r} came back"
                    )
                if outcome.hung:
                    break
            exam.criterion(what, not off, said or f"{len(amounts)} of {len(amounts)} are right")
            return off

        errors: list[BaseException | None] = []

        async def refused(what: str, amounts: Sequence[Any]) -> bool:
            """Whether something was stored."""
            wrong, kept = "", False
            for amount in amounts:
                outcome = await exam.run(conn, 7, amount, limit=3)
                found = await stored()
                kept |= bool(found)
                errors.append(outcome.error)
                if found or not isinstance(outcome.error, ValueError):
                    wrong = wrong or f"{amount!r}: " + (
                        f"{found} stored" if found else str(outcome)
                    )
                if outcome.hung:
                    break
            exam.criterion(what, not wrong, wrong or "none is stored")
            return kept

        off = await right("amounts as Decimal, str and int", EXACT)
        floats = [(float(price), int(price.replace(".", ""))) for price in UNDER]
        off_floats = await right("prices as float", floats)
        kept = await refused("amounts with a part of a cent: ValueError", INEXACT)
        await refused("what is no amount to pay: ValueError", NO_AMOUNTS)
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if not is_usable:
            return
        aborted = 0
        for amount in (*INEXACT, *NO_AMOUNTS):
            transaction = conn.transaction()
            await transaction.start()
            if (await exam.run(conn, 7, amount, limit=3)).hung:
                break
            try:
                await conn.fetchval("select 1")
            except asyncpg.InFailedSQLTransactionError:
                aborted += 1
            await transaction.rollback()
        exam.criterion(
            "refused in the middle of the caller's transaction: that goes on",
            not aborted,
            "it goes on"
            if not aborted
            else f"{aborted} of {len(INEXACT + NO_AMOUNTS)} amounts aborted it",
        )
    if off_floats and all(cents == -1 for cents in off_floats):
        exam.trap("cut")
    elif not off and off_floats == [-cents for _, cents in floats]:  # nothing was stored
        exam.trap("digits")
    elif not off and not off_floats and kept:
        exam.trap("rounded")
    elif not off and any(isinstance(error, InvalidOperation) for error in errors):
        exam.trap("class")
    if aborted and not off_floats and not kept:
        exam.trap("aborted")


DRILL = Drill(
    NAME,
    "Exercise 06: a search, a day, and a payment",
    (
        Task(
            1,
            "a search that no visitor can bend",
            searching.examine,
            drill=NAME,
            hints=(
                "Which of the seven arguments are values to PostgreSQL, and which are parts of the query itself?",
                "A value goes in as $1, also a list (= any) and a pattern, in which some characters still have a meaning of their "
                "own. A part of the query is chosen by you, from a few that you know. And None is not the same as an empty list.",
                "Append each value to a list, and write its number into the condition. Venues: `venue = any($n)`. Put a backslash "
                "before each of backslash, % and _ in the title. Compare statuses, sort and direction with what you allow. A price: "
                "digits, then int(). What PostgreSQL itself refuses, as \\0 in a text, aborts a transaction: refuse it before. asyncpg's "
                "DataError becomes ValueError.",
            ),
            traps={
                "by hand": "Quotes are doubled, and the prices have no quotes around them to get out of. Whoever writes values into "
                "the query has to be right at each place.",
                "names": "The values are safe. What the visitor sorts by is still written into the query as it comes.",
                "refused": "O'Brien is a name, and finds nothing. A quote needs no refusal where it cannot do harm.",
                "patterns": "The text is a pattern to LIKE: % and _ find what the visitor did not type, and a backslash is lost.",
                "prices": "What is no price was made one: int() reads signs and underscores, float() points and exponents, and a part "
                "of a cent is lost.",
                "aborted": "Refused, but by PostgreSQL: the caller's transaction is aborted, and whatever it had done is lost.",
                "empty": "A list with nothing in it found everything, as if no list had been given.",
                "constant": "Sorted up, down, by title, by price: the same order each time. A value was sorted by, the same in each row.",
                "joined": "One venue is found, and of two venues none: their names have become one text.",
            },
        ),
        Task(
            2,
            "what goes on sale on a visitor's day",
            _on_sale,
            drill=NAME,
            hints=(
                "In whose zone is `day`? Three zones take part: the visitor's, the process's, the session's. Print what arrives as $1.",
                "A day is the time from one midnight of the visitor's to the next one. Both are moments, and it is not always 24 hours.",
                "datetime.combine(day, time(), ZoneInfo(zone)), and the same with the next day; or AT TIME ZONE with the visitor's "
                "zone, in SQL. An unknown zone is a KeyError in the one, a DataError in the other.",
            ),
            traps={
                "process": "The answer depends on the TZ of the process: a datetime without a zone is taken in it.",
                "session": "The answer depends on the session's TimeZone. It is not the visitor's.",
                "24 hours": "Right on most days. On the two on which the clocks change, a day has 23 or 25 hours.",
                "UTC": "The same everywhere, and it is the day in UTC, not the visitor's.",
                "order": "The events are right. They come in the order in which PostgreSQL happens to find them.",
                "left": "The answers are right, and the session keeps the visitor's TimeZone. Whoever uses the connection next has it.",
            },
        ),
        Task(
            3,
            "a payment that loses no cent",
            _charge,
            drill=NAME,
            hints=(
                "Print 19.99 * 100. And what does asyncpg make of 1.9 for an int?",
                "Binary fractions cannot hold 19.99, Decimal can; str() of a float is the number that was meant. What is still no "
                "whole number of cents then has to be refused, before PostgreSQL is asked.",
                "Decimal(str(amount)), with decimal's errors caught; refuse what is not finite, what differs from round(…, 2) of it "
                "(arithmetic with Decimal rounds to 28 digits, a comparison does not), and what an int of PostgreSQL, or the table, "
                "cannot hold.",
            ),
            traps={
                "cut": "A cent is missing: a float just below the whole number was cut off, and nothing was raised.",
                "rounded": "The prices are right. And amounts that nobody can pay, with a part of a cent, were rounded and stored.",
                "aborted": "Refused, but by PostgreSQL: the caller's transaction is aborted, and whatever it had done is lost.",
                "digits": "Prices as float are refused: Decimal(amount) takes every digit of the float, and 19.99 has more than two.",
                "class": "What is no number raises decimal's InvalidOperation, and that is no ValueError: the caller does not catch it.",
            },
        ),
    ),
)
