"""The price list, each Monday: new seats and new prices, and nothing else is written."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin, usable
from ...checking.examination import Examination
from .arena import settled
from .comparing import equal
from .monday_prices import monday_prices
from .other_workers import SHOP_SETTING, beside_them, settings, settings_are_kept

TITLE = "the price list, each Monday"

HINTS = (
    "What does DO NOTHING do to a price that has changed? And how many times does the loop wait?",
    "One INSERT … SELECT from a staging table, or from unnest, with ON CONFLICT DO UPDATE. It may "
    "meet each seat once, and should leave alone what is right already.",
    "select distinct on (event_id, label) … order by event_id, label, line desc; on conflict "
    "(event_id, label) do update set price_cents = excluded.price_cents where the two differ. The "
    "status line ends with the number. And a temporary table has to be gone when the function is "
    "called again.",
)

TRAPS = {
    "ignored": "New seats were added, and no price was changed: whatever was there already was "
    "skipped.",
    "again": "The list has a seat twice, and one statement may not write a row twice: nothing was "
    "stored.",
    "last": "A seat is in the list more than once, and another than its last price is stored.",
    "all": "Prices are right, and seats were written whose price was right before.",
    "replaced": "Prices are right, and the seats are other ones: their ids, or who has bought "
    "them, are lost.",
    "row by row": "All is right, and the server was asked about each row.",
    "left behind": "The second call found what the first had left behind: a temporary table lives "
    "as long as its connection.",
    "locked": "Seats are locked that the list does not name: the shop cannot sell them meanwhile.",
    "race": "A seat was not there when the code looked, and was there when it inserted: another "
    "worker was quicker, and the whole list was lost.",
    "half": "One price was refused, and a part of the others is stored.",
}

LIST_TRIPS = 20

STATE = "select event_id, label, id, price_cents, status::text, xmin::text as version from seats"


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack)
        await look.execute("set lock_timeout = '10s'")  # code that still runs may hold a lock
        conn = await asyncpg.connect(tap.dsn(), server_settings={"application_name": "shop"})
        await conn.execute(SHOP_SETTING)
        session = await settings(exam, conn)
        before = await _state(look)
        prices, wanted = monday_prices(before)
        tap.clear()
        outcome = await exam.run(conn, list(prices), limit=15)
        await settled(exam, conn)
        trips = tap.round_trips("shop")
        after = await _state(look)
        right = [
            key
            for key, price in wanted.items()
            if key in after and after[key]["price_cents"] == price
        ]
        exam.criterion(
            "new seats, and new prices",
            len(right) == len(wanted),
            f"{len(right)} of {len(wanted)}" + ("" if outcome.returned else f"; {outcome}"),
        )
        lost = [
            key
            for key, seat in before.items()
            if key not in after
            or (after[key]["id"], after[key]["status"]) != (seat["id"], seat["status"])
        ]
        exam.criterion(
            "ids and statuses are kept", not lost, "all" if not lost else f"{len(lost)} are not"
        )
        others = before.keys() - wanted.keys()
        rewritten = [
            key
            for key in others
            if key not in after or after[key]["version"] != before[key]["version"]
        ]
        exam.criterion(
            f"the other {len(others)} seats were not written",
            not rewritten,
            "none was" if not rewritten else f"{len(rewritten)} were",
        )
        counted = equal(outcome.value, len(wanted))
        exam.criterion(
            "the number of seats that were written came back",
            counted,
            str(outcome)
            if not outcome.returned or type(outcome.value) is not int
            else f"{outcome.value} of {len(wanted)}",
        )
        exam.criterion(
            f"at most {LIST_TRIPS} round trips",
            trips <= LIST_TRIPS,
            "no more" if trips <= LIST_TRIPS else str(trips),
        )
        versions = {key: row["version"] for key, row in after.items()}
        again = await exam.run(conn, list(prices), limit=15)
        await settled(exam, conn)
        later = await _versions(look)
        written = sum(versions.get(key) != version for key, version in later.items())
        exam.criterion(
            "the same list again: nothing is written, and 0 came back",
            not written and equal(again.value, 0),
            f"{written} were written; {again}" if again.returned else str(again),
        )
        none = await exam.run(conn, [], limit=5)
        await settled(exam, conn)
        exam.criterion(
            "an empty list: 0",
            equal(none.value, 0),
            str(none),
        )
        await look.execute("update seats set price_cents = price_cents + 1")
        exact = await _versions(look)
        partly = False
        for what, bad in (("a price below 0", (5, "nowhere", -1)), ("no such event", (99, "A", 1))):
            refused = await exam.run(conn, [*prices[:250], bad, *prices[250:]], limit=15)
            await settled(exam, conn)
            written_in_part = await _versions(look) != exact
            partly |= written_in_part and not refused.returned
            exam.criterion(
                f"{what} in the list: an error, and nothing is written",
                not written_in_part and not refused.returned,
                f"{refused}; {'a part was' if written_in_part else 'nothing is'}",
            )
        is_usable, said = await usable(conn)
        exam.criterion("the connection can be used afterwards", is_usable, said)
        if is_usable:
            await settings_are_kept(exam, conn, session)
            await _in_a_transaction(exam, conn, look, prices)
        if len(right) == len(wanted) and not conn.is_closed():
            await _beside_a_worker(exam, stack, conn, look)
        conn.terminate()
    good = len(right) == len(wanted)
    if isinstance(outcome.error, asyncpg.CardinalityViolationError):
        exam.trap("again")
    elif lost and good:
        exam.trap("replaced")
    elif (
        outcome.returned
        and not lost
        and not any(after[key]["price_cents"] == wanted[key] for key in wanted if key in before)
    ):
        exam.trap("ignored")
    elif good and trips > LIST_TRIPS:
        exam.trap("row by row")
    elif good and isinstance(again.error, asyncpg.DuplicateTableError):
        exam.trap("left behind")
    elif good and rewritten:
        exam.trap("all")
    elif outcome.returned and len(wanted) - len(right) in (1, 2, 3) and not lost:
        exam.trap("last")
    elif good and partly:
        exam.trap("half")


async def _beside_a_worker(exam: Examination, stack: Any, conn: Any, look: Any) -> None:
    """Another worker adds one of the list's seats, and commits while the code runs."""
    outcome = await beside_them(
        exam,
        stack,
        conn,
        [(5, "pit 1", 3000), (5, "pit 2", 3100)],
        "insert into seats (event_id, label, price_cents) values (5, 'pit 1', 2500)",
        "update seats set status = 'sold' where (event_id, label) = (4, 'J10')",
    )
    await settled(exam, conn)
    state = await _state(look)
    found = [state[key]["price_cents"] for key in ((5, "pit 1"), (5, "pit 2")) if key in state]
    exam.criterion(
        "another worker adds a seat of the list at the same time: it gets the list's price",
        found == [3000, 3100] and equal(outcome.value, 2),
        f"{outcome}; the prices are {found}",
    )


async def _in_a_transaction(
    exam: Examination, conn: Any, look: Any, prices: list[tuple[int, str, int]]
) -> None:
    exact = await _versions(look)
    transaction = conn.transaction()
    await transaction.start()
    outcomes = [await exam.run(conn, list(prices), limit=15) for _ in range(2)]
    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError):
        await transaction.rollback()
    kept = await _versions(look) == exact
    bad = next((outcome for outcome in outcomes if not outcome.returned), None)
    exam.criterion(
        "twice in a transaction, which is rolled back",
        kept and not bad,
        str(bad) if bad else "nothing is left" if kept else "something is left",
    )


async def _state(look: Any) -> dict[tuple[int, str], Any]:
    return {(row["event_id"], row["label"]): row for row in await look.fetch(STATE)}


async def _versions(look: Any) -> dict[tuple[int, str], Any]:
    return {key: row["version"] for key, row in (await _state(look)).items()}
