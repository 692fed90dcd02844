"""What comes back from a browser in place of a token."""

from __future__ import annotations

import base64
from typing import Any

from ...checking.connections import usable
from ...checking.examination import Examination

NO_TOKENS = (
    "",
    "nonsense",
    "2026-12-01",
    "1'; drop table orders; --",
    "|",
    "2026-12-01T00:00:00+00:00|99999999999999999999",
)
NO_KEYS = ("null", "5", "[]", "[1, 2]", "[null, null]", '{"placed_at": 1, "id": 2}', '["", "x"]')
BEHIND = (") or (id > 0", " or true", "'", ";--")  # a token written into SQL
SETTINGS = "select name, setting from pg_settings"


def forged() -> list[str]:
    packed = (base64.b64encode(key.encode()).decode() for key in NO_KEYS)
    return [*NO_TOKENS, *NO_KEYS, *packed]


async def refuses_forged_tokens(exam: Examination, conn: Any, before: dict[str, str]) -> None:
    """`before`: the connection's settings when no page had been asked for."""
    first = await exam.run(conn, None, limit=3)
    accepted = ""
    tokens = forged()
    for token in tokens:
        outcome = await exam.run(conn, token, limit=3)
        if not isinstance(outcome.error, ValueError):
            accepted = accepted or f"{token!r}: {outcome}"
        if outcome.hung:
            break
    exam.criterion(
        "what cannot be a token: ValueError",
        not accepted,
        accepted or f"{len(tokens)} of {len(tokens)}",
    )
    accepted = ""
    token = first.value[1]
    second = await exam.run(conn, token, limit=3)
    for more in BEHIND:
        outcome = await exam.run(conn, token + more, limit=3)
        # base64 without validation leaves out what is not its own: the same page is no harm
        if not isinstance(outcome.error, ValueError) and outcome.value != second.value:
            accepted = accepted or f"a token and {more!r}: {outcome}"
    exam.criterion(
        "a token with SQL behind it shows no other page",
        not accepted,
        accepted or f"{len(BEHIND)} of {len(BEHIND)}",
    )
    exam.criterion("the connection can be used afterwards", *await usable(conn))
    after = dict(await conn.fetch(SETTINGS)) if not conn.is_closed() else before
    changed = [name for name, setting in after.items() if before.get(name) != setting]
    exam.criterion(
        "the connection's settings are as they were",
        not changed,
        ", ".join(changed) + ": changed" if changed else "they are",
    )
