"""What a seat map and a report say, in whichever shape their rows come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from ...checking.outcome import Outcome

Seats = dict[str, str]  # the status by label


def seats_of(one: Outcome) -> Seats | None:
    """None where it is no list of rows with a label and a status."""
    if not one.returned or isinstance(one.value, str | None):
        return None
    try:
        pairs = [_pair(row) for row in one.value]
    except (TypeError, ValueError, KeyError):
        return None
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


def _pair(row: Any) -> tuple[str, str]:
    if isinstance(row, Mapping | asyncpg.Record):
        return row["label"], row["status"]
    label, status = row
    return label, status


def figures(one: Outcome) -> tuple[int, int] | None:
    """The number of orders and their cents: from a row, or from a list of one."""
    if not one.returned:
        return None
    value = one.value
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    try:
        orders, cents = value.values() if isinstance(value, Mapping) else value
    except (TypeError, ValueError):
        return None
    return orders, cents
