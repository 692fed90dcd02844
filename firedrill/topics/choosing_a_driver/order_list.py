"""A list of orders: the same rows, of the same kinds, from a driver that decodes otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import asyncpg
import psycopg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .files.originals import orders_with_psycopg

TITLE = "a list of orders, from psycopg to asyncpg"

HINTS = (
    'Print type(row), type(row["basket"]) and each value, for the original and for yours.',
    "psycopg sends text as text, and PostgreSQL converts it to an integer or a moment, in the "
    "session's zone. asyncpg asks PostgreSQL for the parameter's type, and wants a value of that "
    "type from you. What does $1::text::int ask for?",
    "where customer_id = $1::text::int and placed_at >= $2::text::timestamptz. Then dict(row) for "
    "each row, and json.loads for its basket.",
)

TRAPS = {
    "records": "Rows came back as asyncpg's Records. They look like dicts but are not: no JSON "
    "encoder accepts them, and they equal no dict.",
    "text": 'The basket is still text: basket["seats"] raises "string indices must be integers".',
    "zone": "A moment without a zone was read in another zone than the session's: the process's, "
    "or UTC. The same URL now gives other orders.",
    "for everybody": "A codec was set on a connection that others use as well. Their json.loads() "
    "now gets a dict, and fails.",
    "sql": "Text from the URL became SQL: a quote in it gives a visitor everybody's orders.",
}

CUSTOMER, NOBODY = "17", "199"
ZONE = "Pacific/Kiritimati"  # 14 hours before UTC, where hardly any process is
PLACED = """
    delete from orders where customer_id in (17, 199);
    insert into orders (customer_id, placed_at, total_cents, basket)
    select 17, timestamptz '2026-11-22 00:00+00' + n * interval '3 hours', 1999 + n,
           jsonb_build_object('event', 5, 'seats', jsonb_build_array('A' || n))
    from generate_series(0, 9) n"""
CASES = (
    ("since a moment with a zone", CUSTOMER, "2026-11-22T12:00:00+00:00"),
    ("since a moment without one: in the session's", CUSTOMER, "2026-11-22 23:30"),
    ("of a customer who has none", NOBODY, "2026-01-01"),
    ("since a moment in another form", CUSTOMER, "22 Nov 2026 12:00+00"),
    ("since the beginning", CUSTOMER, "-infinity"),
)
BAD_TEXTS = (  # the original gives errors for them
    ("17 or true", "2026-01-01"),
    ("17' or 'a' = 'a", "2026-01-01"),
    (CUSTOMER, "2026-01-01' or 'a' = 'a"),
    ("17' or true --", "2026-01-01"),
    (CUSTOMER, "2026-01-01' or true --"),
    ("3000000000", "2026-01-01"),
    ("seventeen", "2026-01-01"),
    ("", "2026-01-01"),
    (CUSTOMER, ""),
    (CUSTOMER, "some day"),
)
SETTINGS = "select name, setting from pg_settings"
BASKET = "select basket from orders where customer_id = 17 limit 1"


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute("delete from payments")
        await look.execute(PLACED)
        conn = await asyncpg.connect(stack.postgres.dsn(), server_settings={"timezone": ZONE})
        async with await psycopg.AsyncConnection.connect(
            stack.postgres.dsn(), options=f"-c timezone={ZONE}"
        ) as other:
            equal = []
            before = dict(await conn.fetch(SETTINGS))
            for what, customer, since in CASES:
                expected = await orders_with_psycopg(other, customer, since)
                outcome = await exam.run(conn, customer, since)
                equal.append(_exactly(_plain(outcome.value)) == _exactly(expected))
                exam.criterion(f"{what}: the same rows", equal[-1], _rows(outcome, expected))
                if outcome.returned and (kind := _kind(outcome.value)):
                    exam.criterion(
                        "as the original's: a list of dicts, which have a dict as basket",
                        False,
                        kind[1],
                    )
                    exam.trap(kind[0])
                    return
        came = [
            outcome
            for texts in BAD_TEXTS
            if (outcome := await exam.run(conn, *texts)).error is None
        ]
        exam.criterion(
            "a text that is no number, or no moment: an error, as in the original",
            not came,
            str(came[0]) if came else "an error",
        )
        if any(outcome.returned and outcome.value for outcome in came):
            exam.trap("sql")
        is_usable, seen = await usable(conn)
        if not is_usable:
            exam.criterion("the connection is still of use", False, seen)
            return
        basket = await conn.fetchval(BASKET)
        exam.criterion(
            "other handlers of this connection do json.loads() themselves: they still can",
            isinstance(basket, str),
            f"they get a {type(basket).__name__}",
        )
        if not isinstance(basket, str):
            exam.trap("for everybody")
        elif equal[:3] == [True, False, True]:
            exam.trap("zone")
        after = dict(await conn.fetch(SETTINGS))
        changed = [name for name, setting in after.items() if before.get(name) != setting]
        exam.criterion(
            "the connection's settings are as they were",
            not changed,
            ", ".join(changed) + ": changed" if changed else "they are",
        )


def _plain(value: Any) -> Any:
    return (
        [dict(row) if isinstance(row, asyncpg.Record) else row for row in value]
        if isinstance(value, list)
        else value
    )


def _exactly(value: Any) -> Any:
    """20 and 20.00 are equal, and not the same in JSON. Moments are, in whatever zone."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        return value
    return [
        [(key, type(one).__name__, one, str(one) * isinstance(one, Decimal)) for key, one in rows]
        for rows in (row.items() for row in value)
    ]


def _kind(value: Any) -> tuple[str, str] | None:
    """What is not as in the original, and its trap."""
    rows = value if isinstance(value, list) else []
    if any(isinstance(row, asyncpg.Record) for row in rows):
        return "records", "asyncpg's Records"
    if any(isinstance(row, dict) and isinstance(row.get("basket"), str) for row in rows):
        return "text", "a str as basket"
    return None


def _rows(outcome: Outcome, expected: list[Any]) -> str:
    if not outcome.returned or not isinstance(outcome.value, list):
        return str(outcome)
    rows = _plain(outcome.value)
    if _exactly(rows) == _exactly(expected):
        return f"{len(rows)} rows"
    if len(rows) != len(expected):
        return f"{len(rows)} rows came, of {len(expected)}"
    mine, theirs = next(
        (a, b) for a, b in zip(rows, expected, strict=True) if _exactly([a]) != _exactly([b])
    )
    return f"as many rows, with other contents: {_difference(mine, theirs)}"


def _difference(mine: Any, theirs: dict[str, Any]) -> str:
    if not isinstance(mine, dict) or list(mine) != list(theirs):
        return f"{str(mine)[:60]} came for an order"
    key = next(
        key for key in mine if _exactly([{key: mine[key]}]) != _exactly([{key: theirs[key]}])
    )
    return f"{key} is {mine[key]!r:.50}, and was {theirs[key]!r:.50}"
