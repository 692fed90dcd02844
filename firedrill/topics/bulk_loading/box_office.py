"""The seats that the box office stores (task 2)."""

from __future__ import annotations

import enum
from typing import Any


class SeatStatus(enum.Enum):
    OPEN = "free"
    RESERVED = "held"
    SOLD = "sold"


STATUSES = (SeatStatus.RESERVED, SeatStatus.OPEN, SeatStatus.SOLD)

OPTIONS: tuple[Any, ...] = (
    {"aisle": True},
    None,
    {},
    {"note": 'Zoë\'s "left" \\ , ;\tbox\nand so on', "rows": [1, {"x": None}]},
    {"barcode": 2**70, "half": 0.5},
)

SEATS = [
    (
        f'{number} "Box", left' if number % 7 == 0 else f"C{number}",
        4500 + number,
        STATUSES[number % 3],
        OPTIONS[number % 5],
    )
    for number in range(500)
]
