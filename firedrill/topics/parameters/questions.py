"""What the search of task 1 is asked: ordinary questions, odd characters, hostile texts."""

from __future__ import annotations

from typing import Any

# Titles and a venue with every character that means something to SQL or to LIKE.
ODD_EVENTS = r"""
    insert into events (title, venue, starts_at, on_sale_at)
    select title, venue, '2027-05-01 20:00+02', '2026-12-01 10:00+01'
    from (values ('O''Brien''s Quartet', 'Dave''s Bar'), ('100% Live', 'Arena'),
                 ('Snake_Case', 'Cellar Stage'), ('Back\Slash', 'Cellar Stage')) odd (title, venue);
    insert into seats (event_id, label, price_cents)
    select id, 'A1', 3000 + id from events where id > 5"""

NOTHING_ASKED = {
    "title": None,
    "venues": None,
    "statuses": None,
    "lowest": None,
    "highest": None,
    "sort": "title",
    "direction": "asc",
}

QUESTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "ordinary": {
        "a part of the title": {"title": "show"},
        "one venue": {"venues": ["Arena"]},
        "two venues": {"venues": ["Great Hall", "Cellar Stage"]},
        "two statuses": {"statuses": ["sold", "held"]},
        "a range of prices": {"lowest": "5000", "highest": "9000"},
        "all of them at once": {
            "title": "e",
            "venues": ["Great Hall", "Arena"],
            "statuses": ["free"],
            "lowest": "4000",
            "highest": "12000",
            "sort": "price_cents",
            "direction": "desc",
        },
    },
    "quotes": {
        "a title with a quote": {"title": "O'Brien"},
        "a venue with a quote": {"venues": ["Dave's Bar"]},
    },
    "patterns": {
        "a title with %": {"title": "%"},
        "a title with _": {"title": "_"},
        "a title with a backslash": {"title": "\\"},
    },
    "empty": {
        "a list of venues with nothing in it": {"venues": []},
        "a list of statuses with nothing in it": {"statuses": []},
    },
}

# Each ends a condition as somebody might have written it, and would then find everything.
TEXTS = (
    "x' or true --",
    "x') or true --",
    "x' or 'a' like '%",
    "\\' or true --",
    "x'; update seats set price_cents = 1; --",
)

NUMBERS = ("0 or true", "0) or (true", "'0' or true", "five")

HOSTILE: dict[str, tuple[Any, ...]] = {
    "title": TEXTS,
    "venues": tuple([text] for text in TEXTS),
    "statuses": tuple([text] for text in TEXTS),
    "lowest": NUMBERS,
    "highest": NUMBERS,
    "sort": (
        "price_cents, (select max(email) from customers)",
        "price_cents desc --",
        "on_sale_at",
        "nothing",
    ),
    "direction": ("desc, (select max(email) from customers)", "up"),
}

OTHER_LETTERS = {"sort": ("TITLE", "Venue"), "direction": ("ASC", "Desc", "")}

# Python reads some of these as numbers: int(float("49.99")), abs(int("-5")), int("5_000"),
# int("٥٠").
NO_PRICES = (
    "49.99",
    "4500.99",
    "-5",
    "1e3",
    "5_000",
    " 5000",
    "5000\n",
    "",
    "+5",
    "٥٠",
    "2147483648",
)

REFUSED: tuple[dict[str, Any], ...] = (
    {"title": "Late\0Show"},
    {"title": "Late Show \ud83c"},
    {"venues": ["Arena\0"]},
    {"venues": ["Arena \ud83c"]},
    {"statuses": ["lost"]},
    {"lowest": "five"},
    {"highest": "2147483648"},
    {"sort": "nothing"},
    {"direction": "up"},
)
