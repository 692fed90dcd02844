"""Wrong and right answers to the warm-up of exercise 15."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg


def all_are_bad_requests(error: Exception) -> int:
    return 400 if isinstance(error, asyncpg.PostgresError | OSError) else 500


def all_are_failures(error: Exception) -> int:
    return 503 if isinstance(error, OSError) else 500


def a_missing_table_is_a_bad_request(error: Exception) -> int:
    if isinstance(error, OSError):
        return 503
    if isinstance(error, asyncpg.UniqueViolationError):
        return 409
    return 422 if isinstance(error, asyncpg.PostgresError) else 500


def by_sqlstate(error: Exception) -> int:
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, OSError) or state[:2] in ("08", "53", "57"):
        return 503
    return {"23505": 409, "22": 422}.get(state if state == "23505" else state[:2], 500)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "client"): all_are_bad_requests,
    (0, "server"): all_are_failures,
}
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (0, "", a_missing_table_is_a_bad_request),
    (0, None, by_sqlstate),
)
