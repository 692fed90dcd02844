"""Wrong and right answers to the warm-up of exercise 14."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


async def doubled_quotes(conn: Any, seat: str) -> None:
    text = seat.replace("'", "''")
    await conn.execute(f"notify sold, '{text}'")


async def without_quotes(conn: Any, seat: str) -> None:
    if seat.isalnum():
        await conn.execute("select pg_notify('sold', $1)", seat)


async def another_channel(conn: Any, seat: str) -> None:
    await conn.execute("select pg_notify($1, $2)", "Sold", seat)


async def both_as_parameters(conn: Any, seat: str) -> None:
    await conn.fetchval("select pg_notify($1, $2)", "sold", seat)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "in the SQL"): doubled_quotes,
    (0, "refused"): without_quotes,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "refused", another_channel),
    (0, None, both_as_parameters),
)
