"""`Table`: rows under their column names, shown as text. Views, wire and timeline give theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate


class Table:
    """Rows under their column names. Shown as text; `rows` holds the same as dictionaries."""

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "no rows"
    ) -> None:
        self.rows = [dict(zip(columns, row, strict=True)) for row in rows]
        self.columns, self.empty = columns, empty

    def __repr__(self) -> str:
        if not self.rows:
            return f"({self.empty})"
        return str(
            tabulate(
                [list(row.values()) for row in self.rows],
                headers=self.columns,
                disable_numparse=True,
            )
        )

    def __len__(self) -> int:
        return len(self.rows)
