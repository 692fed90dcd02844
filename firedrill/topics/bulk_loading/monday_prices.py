"""A price list with new seats, new prices, old prices, and seats that stand in it twice."""

from __future__ import annotations

from typing import Any


def monday_prices(
    seats: dict[tuple[int, str], Any],
) -> tuple[list[tuple[int, str, int]], dict[tuple[int, str], int]]:
    """A list of 500 or so for the shop's 500 seats, and what is to be written."""
    prices, wanted = [], {}
    for number, (key, seat) in enumerate(sorted(seats.items())):
        price = seat["price_cents"] + (500 if number % 10 == 0 else 0)
        if number % 12 != 5:  # the list does not name all seats
            prices.append((*key, price))
            if price != seat["price_cents"]:
                wanted[key] = price
    for number in range(1, 22):
        prices.append((5, f"balcony {number}", 3000))
        wanted[5, f"balcony {number}"] = 3000
    prices.append((5, "the 'Royal' box", 9000))
    wanted[5, "the 'Royal' box"] = 9000
    [changed, *_] = wanted
    # Again, further down: another price; a new one and then the old one; a new seat with its last
    # price.
    prices += [
        (*changed, 7777),
        (4, "J9", 9999),
        (4, "J9", seats[4, "J9"]["price_cents"]),
        (5, "balcony 1", 3300),
    ]
    wanted[changed], wanted[5, "balcony 1"] = 7777, 3300
    wanted.pop((4, "J9"), None)
    return prices, wanted
