"""Stretch: what a basket may hold, and jsonb may not."""

from __future__ import annotations

import copy
import json
import math

import asyncpg

from ... import servers
from ...checking.connections import admin
from ...checking.examination import Examination

TITLE = "what jsonb cannot hold"

HINTS = (
    "Python's json writes NaN and Infinity, which is no JSON, and \\u0000, which jsonb refuses.",
    "Clean the value before it is encoded, at each depth, keys included: the text of JSON has "
    "escapes, and what looks like one may be a backslash that somebody has typed.",
    "A function that calls itself for the values of dicts and lists, and returns new ones.",
)

TRAPS = {
    "escaped": "The encoded text was changed: a customer's own backslash, followed by u0000, lost "
    "its characters, or the JSON broke.",
    "changed": "The caller's basket was changed as well: it goes on to show it.",
}

FORBIDDEN = {"note": "a\0b", "k\0": [1.5, math.nan, {"deep": "\0"}], "most": math.inf}
CLEAN = {"note": "ab", "k": [1.5, None, {"deep": ""}], "most": None}
FINE = {"note": "é 🎟", "n": 1, "none": None, "yes": True, "list": [], "text": "NaN"}
TYPED = {"note": "the text \\u0000 of a manual"}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
        conn = await asyncpg.connect(stack.postgres.dsn())

        async def stored(basket: object) -> object:
            """What is in the table afterwards, or what came of it."""
            outcome = await exam.run(conn, 1, basket)
            if not outcome.returned:
                return str(outcome)
            text = await look.fetchval("select basket from orders where id = 1")
            return json.loads(text)

        baskets = {
            "a basket that is fine: as it is": (FINE, FINE),
            "with NUL characters, NaN and Infinity, at any depth: without the characters, and null "
            "for the numbers": (FORBIDDEN, CLEAN),
            "with a backslash and u0000 that somebody has typed: as it is": (TYPED, TYPED),
        }
        seen = {}
        changed = False
        for what, (basket, right) in baskets.items():
            mine = copy.deepcopy(basket)
            seen[what] = await stored(mine)
            changed |= repr(mine) != repr(basket)
            met = seen[what] == right
            exam.criterion(what, met, "it is" if met else f"{seen[what]!r}"[:200])
        exam.criterion(
            "the caller's basket is as it was", not changed, "it is" if not changed else "it is not"
        )
        typed = next(value for what, value in seen.items() if "typed" in what)
        if typed != TYPED and list(seen.values())[1] == CLEAN:
            exam.trap("escaped")
        elif changed:
            exam.trap("changed")
        conn.terminate()
