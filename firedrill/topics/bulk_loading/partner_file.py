"""Files of a partner, built line by line, and what should come of each line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

HEADER = "label;price;status;options"

AISLE = {"aisle": True}

UNCLOSED = '"A16;45,00;free;{}'  # to a reader of the whole file, all that follows is in this field

BEHIND = "A15"


@dataclass
class Rows:
    """A file that grows by a line at a time, and what should come of it."""

    lines: list[str] = field(default_factory=lambda: [HEADER])
    good: dict[str, tuple[int, str, Any]] = field(default_factory=dict)
    bad: list[int] = field(default_factory=list)

    def add(
        self,
        line: str,
        label: str | None = None,
        price: int = 4500,
        status: str = "free",
        options: Any = None,
    ) -> None:
        """A good row's `label` and what is to be stored; without it the row is bad."""
        self.lines.append(line)
        if label is None:
            self.bad.append(len(self.lines))
        else:
            self.good[label] = (price, status, AISLE if options is None else options)

    def file(self, first: str = "\ufeff", end: str = "\r\n", last: str = "\r\n") -> bytes:
        """With a byte order mark and Windows' line ends, if not said otherwise."""
        return (first + end.join(self.lines) + last).encode()


def ordinary() -> Rows:
    """The faults that a look at the file shows."""
    rows = Rows()
    aisle = '"{""aisle"": true}"'
    rows.add(f"A1;45,00;free;{aisle}", "A1")
    rows.add(f"A2; 45 ;held ;{aisle}", "A2", status="held")
    rows.add(f" A3 ;62,5;sold;{aisle}", "A3", 6250, "sold")
    rows.add(f"A4;;free;{aisle}")
    rows.add(f"A5;45,00;reserved;{aisle}")
    rows.add(f"A1;90,00;held;{aisle}")
    rows.lines.append("")
    rows.add('A6;45,00;free;"{""aisle"": }"')
    rows.add(f'"Box ""Royal""; left";120,00;free;{aisle}', 'Box "Royal"; left', 12000)
    rows.add("A7;45,00;free")
    rows.add(f"A8;45,00;free;{aisle};wheelchair")
    rows.add(f"A9;-45,00;free;{aisle}")
    rows.add(f"A10;45,005;free;{aisle}")
    rows.add(f"A11;0,00;free;{aisle}")
    rows.add(f";45,00;free;{aisle}")
    rows.add(f"A12;call us;free;{aisle}")
    rows.add(
        'A13;45,00;free;"{""note"": ""Zoë\'s, \\""left\\"" \\\\""}"',
        "A13",
        options={"note": 'Zoë\'s, "left" \\'},
    )
    rows.add(f"A4;70,00;free;{aisle}", "A4", 7000)
    rows.add('A14;45,00;free;"[1, 2]"')
    rows.add(f"  ;45,00;free;{aisle}")
    rows.add(f"A17;45.00;free;{aisle}")
    rows.add(f"A18;45,;free;{aisle}")
    rows.add(f"A19;+45,00;free;{aisle}")
    rows.add(f"A20;45,00;FREE;{aisle}")
    rows.add(UNCLOSED)
    rows.add("A15;0,29;free;{}", BEHIND, 29, options={})
    return rows


def subtle() -> Rows:
    """What Python or PostgreSQL takes for good, and the other does not; and what ends no line."""
    rows = Rows()
    rows.add("B1;45,00;free;{}", "B1", options={})
    rows.add('B2;45,00;free;"{""depth"": NaN}"')
    rows.add('B3;45,00;free;"{""note"": ""\\u0000""}"')
    rows.add("B4;30000000,00;free;{}")
    rows.add("B\0006;45,00;free;{}")
    rows.add("B7;\uff14\uff15;free;{}")  # digits to Python's `int` and `\\d`
    rows.add("Balcony\u2028B8;45,00;free;{}", "Balcony\u2028B8", options={})
    rows.add("B5;45,00;free;{}", "B5", options={})
    return rows


def large(count: int = 600) -> Rows:
    rows = Rows()
    for number in range(1, count + 1):
        if number % 200:
            rows.add(f"L{number};45,00;free;{{}}", f"L{number}", options={})
        else:
            rows.add(f"L{number};;free;{{}}")
    return rows


def differing(bad: set[int], reported: set[int]) -> str:
    parts = [
        f"{what}: line {some(sorted(lines))}"
        for what, lines in (("missing", bad - reported), ("good", reported - bad))
        if lines
    ]
    return "; ".join(parts)


def some(things: Iterable[object]) -> str:
    first, *others = things
    return f"{first}" + (f", and {len(others)} more" if others else "")
