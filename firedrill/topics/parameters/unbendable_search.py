"""A search that no visitor can bend: values as parameters, names from a list of known ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from ... import servers
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from ...expect import describe
from ...servers.stack import Stack
from .questions import (
    HOSTILE,
    NO_PRICES,
    NOTHING_ASKED,
    ODD_EVENTS,
    OTHER_LETTERS,
    QUESTIONS,
    REFUSED,
)

TITLE = "a search that no visitor can bend"

HINTS = (
    "Which of the seven arguments are values to PostgreSQL, and which are parts of the query "
    "itself?",
    "A value goes in as $1, also a list (= any) and a pattern, in which some characters still "
    "have a special meaning. A part of the query is chosen by you, from a few that you know. "
    "And None is not the same as an empty list.",
    "Append each value to a list, and write its number into the condition. Venues: `venue = "
    "any($n)`. Put a backslash before each of backslash, % and _ in the title. Compare statuses, "
    "sort and direction with what you allow. A price: digits, then int(). What PostgreSQL itself "
    "refuses, as \\0 in a text, aborts a transaction: refuse it before. asyncpg's DataError "
    "becomes ValueError.",
)

TRAPS = {
    "by hand": "Quotes are doubled, and the prices have no quotes around them to get out of. "
    "If you write values into the query, you have to be right at each place.",
    "names": "The values are safe. What the visitor sorts by is still written into the query as "
    "it comes.",
    "refused": "O'Brien is a name, and finds nothing. A quote needs no refusal where it cannot do "
    "harm.",
    "patterns": "The text is a pattern to LIKE: % and _ find what the visitor did not type, and a "
    "backslash is lost.",
    "prices": "What is no price was made one: int() reads signs and underscores, float() points "
    "and exponents, and a part of a cent is lost.",
    "aborted": "Refused, but by PostgreSQL: the caller's transaction is aborted, and whatever it "
    "had done is lost.",
    "empty": "A list with nothing in it found everything, as if no list had been given.",
    "constant": "Sorted up, down, by title, by price: the same order each time. A value was "
    "sorted by, the same in each row.",
    "joined": "One venue is found, and of two venues none: their names have become one text.",
}


async def check(exam: Examination) -> None:
    with servers.open() as stack:
        look = await admin(stack)
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
        for what, letters in OTHER_LETTERS.items():
            await search.hostile(what, letters, "in other letters than promised")
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
                f"select distinct {column} from events join seats on event_id = events.id "
                "order by 1"
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
        """No seat has such a title or venue; of all else, Encore knows the few that there are.

        True where nothing was found.
        """
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
            f"{len(REFUSED)} values in the middle of the caller's transaction: ValueError, and "
            "that goes on",
            not aborted and not wrong,
            f"{aborted} of {len(REFUSED)} aborted it" if aborted else wrong or "it goes on",
        )
        return aborted


def _seat(row: Any) -> tuple[Any, ...]:
    return row["title"], row["venue"], row["price_cents"], row["label"]
