"""Stretch: a prefix, with whatever characters."""

from __future__ import annotations

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "a prefix is no pattern"

HINTS = (
    "A parameter is safe from injection, and LIKE still reads %, _ and the backslash in it.",
    "Either escape the three of them, the backslash first, or ask without LIKE.",
    "where starts_with(title, $1); or left(title, length($1)) = $1",
)

TRAPS = {
    "pattern": "A % or _ in what was typed matched other titles: it is part of a pattern.",
    "backslash": "% and _ were escaped, and the backslash was not: a title with one is not found, "
    "or the pattern ends with an escape and is refused.",
}

TITLES = ("50% off", "500 seats", "A_B", "AxB", "C:\\sales", "C:sales", "L'Été", "l'été")
CASES = {
    "a plain beginning": "50",
    "a quote, and capital letters": "L'É",
    "%": "50%",
    "_": "A_",
    "a backslash": "C:\\",
    "nothing: all": "",
    "no such title": "%%%",
}
INSERT = """insert into events (title, venue, starts_at, on_sale_at)
            select title, 'Hall', now(), now() from unnest($1::text[]) title"""
RIGHT = 'select title from events where left(title, length($1)) = $1 order by title collate "C"'


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        await look.execute(INSERT, [*TITLES])
        conn = await asyncpg.connect(stack.postgres.dsn())
        wrong: dict[str, str] = {}
        for what, prefix in CASES.items():
            outcome = await exam.run(conn, prefix)
            right = [row[0] for row in await look.fetch(RIGHT, prefix)]
            given = outcome.value if isinstance(outcome.value, list) else None
            if given != right:
                wrong[what] = f"{given}" if outcome.returned else str(outcome)
        ordinary, special = list(CASES)[:2] + list(CASES)[5:], ["%", "_", "a backslash"]
        for what, names in (
            ("ordinary beginnings, none, and one that no title has", ordinary),
            ("beginnings with %, _ and a backslash", special),
        ):
            missed = {name: wrong[name] for name in names if name in wrong}
            told = "; ".join(f"{name}: {one[:120]}" for name, one in missed.items())
            exam.criterion(what, not missed, told or "the right titles")
        if {"%", "_"} & wrong.keys():
            exam.trap("pattern")
        elif "a backslash" in wrong:
            exam.trap("backslash")
        conn.terminate()
