"""Pages that lose no order: orders come and go while somebody reads them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from ... import servers, wire
from ...checking.connections import admin
from ...checking.examination import Examination
from .tokens import SETTINGS, refuses_forged_tokens

TITLE = "pages that lose no order"

HINTS = (
    "On which page is an order when ten newer ones have come in? And what does the browser know "
    "that stays true?",
    "The next page begins after the last order that was shown: after its placed_at and its id. The "
    "order itself may be gone by then, so both have to be in the token, exactly.",
    "where (placed_at, id) < ($1, $2) order by placed_at desc, id desc limit 11; the token from "
    "isoformat() and id; fromisoformat() and int() for the way back.",
)

TRAPS = {
    "moved": "Two orders came in, and the last ones of a page are on the next page again: the "
    "number of a page is no place.",
    "anchor": "The last order of a page was cancelled, and the next page does not know where to "
    "begin.",
    "ties": "Of the orders placed at the same moment, those that did not fit on the page are lost.",
    "rounded": "The token has lost part of the moment: orders within the same second are lost, "
    "or shown twice.",
    "everything": "The pages are right, but PostgreSQL sent all orders for each of them.",
}
PAGES = 40  # there are 14; more than this many would be a circle
# From old to new: 15 at the same moment, 28 within the same millisecond, and the shop's own, older
# than both; three of those are the newest, and the one with the largest id is the oldest. 140 in
# all: the last page is full.
MOMENTS = """
    create index on orders (placed_at, id);
    insert into orders (customer_id, placed_at, total_cents, basket)
    select 7, timestamptz '2026-12-01 10:00+01', 4900, '{"of": "a file"}'
    from generate_series(1, 15);
    insert into orders (customer_id, placed_at, total_cents, basket)
    select 7, timestamptz '2026-12-02 10:00:00.0001+01' + n * interval '1 microsecond', 4900,
        '{"of": "a rush"}'
    from generate_series(1, 28) n;
    update orders set placed_at = placed_at + interval '400 days' where id in (1, 2, 3);
    update orders set placed_at = timestamptz '2020-02-02 20:20+01', basket = '{"of": "old"}'
    where id = (select max(id) from orders)"""
NEW = """
    insert into orders (customer_id, placed_at, total_cents, basket)
    values (7, '2028-01-01', 4900, '{"of": "meanwhile"}'),
        (7, '2028-01-02', 4900, '{"of": "meanwhile"}')"""


async def check(exam: Examination) -> None:
    with servers.open() as stack, wire.tap(stack, in_front_of="postgres") as tap:
        look = await admin(stack, "encore")
        await look.execute(MOMENTS)
        right = [
            row["id"]
            for row in await look.fetch("select id from orders order by placed_at desc, id desc")
        ]
        kinds = {
            row["id"]: row["kind"]
            for row in await look.fetch("select id, basket ->> 'of' as kind from orders")
        }
        conn = await asyncpg.connect(tap.dsn())
        await conn.execute("set timezone = 'Pacific/Chatham'")  # a caller's, not the default
        settings = dict(await conn.fetch(SETTINGS))

        async def nothing(_: list[Any]) -> None:
            pass

        async def sell(_: list[Any]) -> None:
            await look.execute(NEW)

        async def cancel_last(page: list[Any]) -> None:
            await look.execute("delete from payments where order_id = $1", page[-1])
            await look.execute("delete from orders where id = $1", page[-1])

        tap.clear()
        shown, problem, count = await _read(exam, conn, nothing)
        rows = sum(event.count for event in tap.events if event.message == "DataRow")
        exam.criterion(
            "all orders, newest first, ten a page",
            shown == right,
            problem or _compared(shown, right),
        )
        lost = {kinds.get(number) for number in set(right) - set(shown)} | {
            kinds.get(number) for number in shown if shown.count(number) > 1
        }
        if problem:
            return
        empty = len(shown) == 10 * (count - 1)
        exam.criterion(
            "no page is empty",
            not empty,
            f"page {count} is, after {len(shown)} orders" if empty else f"{count} pages",
        )
        exam.criterion(
            "PostgreSQL sends what a page needs",
            rows <= 12 * count,
            f"{rows} rows for {count} pages",
        )

        moved, problem, _ = await _read(exam, conn, sell)
        twice, gone = len(moved) - len(set(moved)), len(set(right) - set(moved))
        newer = len(set(moved) - set(right))
        steady = not problem and not twice and gone == len(set(right) - set(shown))
        exam.criterion(
            "two orders come in after each page: nothing twice, nothing lost, nothing newer",
            steady and not gone and not newer,
            problem or f"twice: {twice}, lost: {gone}, newer than the page before: {newer}",
        )

        await look.execute("delete from orders where basket ->> 'of' = 'meanwhile'")
        cut, problem, _ = await _read(exam, conn, cancel_last)
        twice, gone = len(cut) - len(set(cut)), len(set(right) - set(cut))
        anchored = not problem and not twice and gone == len(set(right) - set(shown))
        exam.criterion(
            "the last order of each page is cancelled: nothing twice, nothing lost",
            anchored and not gone,
            problem or f"twice: {twice}, lost: {gone}",
        )

        await refuses_forged_tokens(exam, conn, settings)
    if "a rush" in lost and lost <= {"a rush", "a file"}:
        exam.trap("rounded")
    elif lost == {"a file"}:
        exam.trap("ties")
    elif shown == right and not steady:
        exam.trap("moved")
    elif shown == right and not anchored:
        exam.trap("anchor")
    elif shown == right and rows > 12 * count:
        exam.trap("everything")


async def _read(
    exam: Examination, conn: Any, meanwhile: Callable[[list[Any]], Awaitable[None]]
) -> tuple[list[Any], str, int]:
    """What all pages show, what is wrong with one of them, and how many there are."""
    shown: list[Any] = []
    token = None
    for count in range(1, PAGES + 1):
        outcome = await exam.run(conn, token, limit=3)
        if not outcome.returned:
            return shown, f"page {count}: {outcome}", count
        try:
            page, token = outcome.value
            page = list(page)
        except (TypeError, ValueError):
            return shown, f"page {count}: {outcome}", count
        if len(page) > 10 or not (token is None or isinstance(token, str)):
            return (
                shown,
                f"page {count}: {len(page)} orders, and {type(token).__name__} for a token",
                count,
            )
        if token is not None and len(page) != 10:
            return shown, f"page {count}, not the last: {len(page)} orders", count
        shown += page
        if token is None:
            return shown, "", count
        if page:
            await meanwhile(page)
    return shown, "", PAGES


def _compared(shown: list[Any], right: list[int]) -> str:
    if shown == right:
        return f"{len(shown)} of {len(right)}"
    lost, twice = len(set(right) - set(shown)), len(shown) - len(set(shown))
    return f"lost: {lost}, twice: {twice}" if lost or twice else "all of them, in another order"
