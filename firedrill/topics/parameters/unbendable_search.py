"""Exercise 06, task 1: a search that no visitor can bend. Its check asks a lot of questions, hence a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from ... import servers
from ...expect import describe
from ...servers.server import SUPERUSER
from ...servers.stack import Stack
from ...checking.outcome import Outcome
from ...checking.examination import Examination

# Titles and a venue with every character that means something to SQL or to LIKE.
ODD_EVENTS = r"""
    insert into events (title, venue, starts_at, on_sale_at)
    select title, venue, '2027-05-01 20:00+02', '2026-12-01 10:00+01'
    from (values ('O''Brien''s Quartet', 'Dave''s Bar'), ('100% Live', 'Arena'), ('Snake_Case', 'Cellar Stage'),
                 ('Back\Slash', 'Cellar Stage')) odd (title, venue);
    insert into seats (event_id, label, price_cents) select id, 'A1', 3000 + id from events where id > 5"""
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

# Python reads some of these as numbers: int(float("49.99")), abs(int("-5")), int("5_000"), int("٥٠").
NO_PRICES = ("49.99", "4500.99", "-5", "1e3", "5_000", " 5000", "٥٠", "2147483648")
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


async def examine(exam: Examination) -> None:
    with servers.open() as stack:
        look = await asyncpg.connect(stack.postgres.dsn(user=SUPERUSER))
        await look.execute(ODD_EVENTS)
        search = _Search(
            exam,
            stack,
            await look.fetch(
                "select * from events join seats on event_id = events.id order by seats.id"
            ),
        )
        if not await search.right("ordinary"):
            if search.met["one venue"] and search.found["two venues"] == []:
                exam.trap("joined")
            return
        quotes, patterns, empty = [
            await search.right(group) for group in ("quotes", "patterns", "empty")
        ]
        await search.sorts(look)
        harmless = {what: await search.hostile(what, texts) for what, texts in HOSTILE.items()}
        prices = [
            await search.hostile(what, NO_PRICES, "texts that are no price")
            for what in ("lowest", "highest")
        ]
        aborted = await search.refused_in_a_transaction()
        unchanged = await look.fetchval("select min(price_cents) from seats") > 1
        exam.criterion(
            "no price was changed", unchanged, "none" if unchanged else "all seats cost a cent"
        )
        exam.criterion("the connection can be used afterwards", *await usable(search.conn))
    texts = all(harmless[what] for what in ("title", "venues", "statuses"))
    numbers = harmless["lowest"] and harmless["highest"]
    if quotes and texts and not numbers:
        exam.trap("by hand")
    if texts and numbers and not (harmless["sort"] and harmless["direction"]):
        exam.trap("names")
    if numbers and not all(prices):
        exam.trap("prices")
    if search.refuses_quotes:
        exam.trap("refused")
    if quotes and not patterns:
        exam.trap("patterns")
    if quotes and not empty:
        exam.trap("empty")
    if search.ignores_order:
        exam.trap("constant")
    if aborted and not exam.fallen:
        exam.trap("aborted")


class _Search:
    """Asks the learner's function, and knows from all seats what it should have found."""

    def __init__(self, exam: Examination, stack: Stack, seats: Sequence[Any]) -> None:
        self.exam, self.stack, self.seats = exam, stack, seats
        self.conn: Any = None
        self.met: dict[str, bool] = {}  # by question
        self.found: dict[str, list[Any] | None] = {}  # None: no list of seats
        self.refuses_quotes = self.ignores_order = False

    async def ask(self, given: dict[str, Any]) -> tuple[Outcome, list[Any] | None]:
        if self.conn is None or self.conn.is_closed() or self.conn.is_in_transaction():
            self.conn = await asyncpg.connect(self.stack.postgres.dsn())
        outcome = await self.exam.run(self.conn, *{**NOTHING_ASKED, **given}.values(), limit=3)
        try:
            return outcome, [_seat(row) for row in outcome.value]
        except Exception:  # whatever came back, it is not a list of seats
            return outcome, None

    async def right(self, group: str) -> bool:
        questions = QUESTIONS[group]
        for what, given in questions.items():
            outcome, found = await self.ask(given)
            wanted = [_seat(seat) for seat in self.wanted(given)]
            self.found[what], self.met[what] = (
                found,
                found is not None and sorted(found) == sorted(wanted),
            )
            self.exam.criterion(
                what,
                self.met[what],
                str(outcome)
                if not outcome.returned
                else f"{outcome}, and it holds no seats"
                if found is None
                else f"seats that came back: {len(found)}, right: {len(wanted)}",
            )
            if outcome.hung:
                return False
            self.refuses_quotes |= group == "quotes" and (
                isinstance(outcome.error, ValueError) or found == []
            )
        return all(self.met[what] for what in questions)

    def wanted(self, given: dict[str, Any]) -> list[Any]:
        asked = {**NOTHING_ASKED, **given}
        return [
            seat
            for seat in self.seats
            if (asked["title"] is None or asked["title"].lower() in seat["title"].lower())
            and (asked["venues"] is None or seat["venue"] in asked["venues"])
            and (asked["statuses"] is None or seat["status"] in asked["statuses"])
            and (asked["lowest"] is None or seat["price_cents"] >= int(asked["lowest"]))
            and (asked["highest"] is None or seat["price_cents"] <= int(asked["highest"]))
        ]

    async def sorts(self, look: Any) -> None:
        orders, good = set(), 0
        for number, column in enumerate(("title", "venue", "price_cents")):
            values = await look.fetch(
                f"select distinct {column} from events join seats on event_id = events.id order by 1"
            )
            places = {row[0]: place for place, row in enumerate(values)}
            for direction in ("asc", "desc"):
                outcome, found = await self.ask({"sort": column, "direction": direction})
                if outcome.hung:
                    break
                if found is not None and len(found) == len(self.seats):
                    way = [places[seat[number]] for seat in found]
                    good += way == sorted(way, reverse=direction == "desc")
                    orders.add(tuple(found))
        self.exam.criterion(
            "sorted by each of three columns, up and down", good == 6, f"{good} of 6 are sorted so"
        )
        self.ignores_order = good < 6 and len(orders) == 1

    async def hostile(
        self, what: str, texts: Sequence[Any], kind: str = "hostile or unknown values"
    ) -> bool:
        """No seat has such a title or venue; of all else, Encore knows the few that there are. True where nothing was found."""
        found_some, wrong = 0, ""
        for text in texts:
            outcome, found = await self.ask({what: text})
            found_some += bool(found)
            if not isinstance(outcome.error, ValueError) and not (
                found == [] and what in ("title", "venues")
            ):
                wrong = wrong or f"{text!r}: {outcome}"
            if outcome.hung:
                break
        nothing = "no seats, or ValueError" if what in ("title", "venues") else "ValueError"
        self.exam.criterion(
            f"{what}: {len(texts)} {kind}",
            not found_some and not wrong,
            f"{found_some} found seats" if found_some else wrong or nothing,
        )
        return not found_some

    async def refused_in_a_transaction(self) -> int:
        """How many of the values aborted the caller's transaction."""
        wrong, aborted = "", 0
        for given in REFUSED:
            conn = await asyncpg.connect(self.stack.postgres.dsn())
            await conn.transaction().start()
            outcome = await self.exam.run(conn, *{**NOTHING_ASKED, **given}.values(), limit=3)
            if not isinstance(outcome.error, ValueError):
                wrong = wrong or f"{given}: {outcome}"
            try:
                await conn.fetchval("select 1")
            except asyncpg.InFailedSQLTransactionError:
                aborted += 1
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                wrong = wrong or f"{given}: {describe(error)}"
            conn.terminate()
            if outcome.hung:
                break
        self.exam.criterion(
            f"{len(REFUSED)} values in the middle of the caller's transaction: ValueError, and that goes on",
            not aborted and not wrong,
            f"{aborted} of {len(REFUSED)} aborted it" if aborted else wrong or "it goes on",
        )
        return aborted


def _seat(row: Any) -> tuple[Any, ...]:
    return row["title"], row["venue"], row["price_cents"], row["label"]


async def usable(conn: Any) -> tuple[bool, str]:
    if conn.is_closed():
        return False, "it is closed"
    if conn.is_in_transaction():
        return False, "a transaction is left open"
    return await conn.fetchval("select 1") == 1, "it can"
