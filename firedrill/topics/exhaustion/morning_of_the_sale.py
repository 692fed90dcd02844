"""The morning of the sale: a seat map that answers in time, while the office runs its reports."""

from __future__ import annotations

from collections.abc import Sequence

from ...checking.connections import admin
from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .answers import Seats, figures, seats_of
from .shop import Opened, Shop, at_once, back, call, open_shop, opens, refused, results, told

TITLE = "a seat map that answers in time"

HINTS = (
    "Who may have all four connections at once, and for how long? Who limits the wait of those "
    "that get none? And who limits the query?",
    "Two limits, for two things: the reports must never have all connections, and a customer must "
    "not wait longer than half a second for connection and query together. The office can wait.",
    "An asyncio.Semaphore around the reports; one asyncio.timeout() around all of seat_map(), with "
    '"busy" for its TimeoutError and for no other error. A second semaphore, looked at with '
    'locked(), says "busy" at once.',
)

TRAPS = {
    "patient": "Customers waited for a connection, and nothing ended it. command_timeout and "
    "fetch(timeout=) begin when the query does, which is after that wait.",
    "query": "Customers had a connection and waited for the answer: the table was locked, and "
    "nothing ended the query in time. acquire(timeout=) ends before it begins.",
    "starved": "Customers did not see the seats in time while reports were running, and saw them "
    "at other times: the reports held the connections.",
    "refuses": "Hardly anybody saw the seats. Four connections could serve many more of them "
    "within half a second.",
    "killed": "Reports did not come to their end. A limit on time does not share the connections.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300).",
    "stale": "What came back was true for an earlier caller: since then a seat had been sold, or "
    "an order placed.",
    "swallowed": 'An error that no waiting ends was told as "busy", so that nobody looks for it.',
}

CROWD = 250  # customers, whom four connections serve in 1.9 s
BOUND = 1.0  # seconds; the learner is told half of it, so that a slow machine fails nobody
LOCKED = 0.8  # the same with four customers: between the promise and two limits in a row
REPORT = """
    create function sales_report() returns table (orders bigint, cents bigint) language plpgsql as
    $$ begin
        perform pg_sleep(0.6);
        return query select count(*), sum(total_cents) from public.orders;
    end $$"""
SLOW = """
    alter table seats rename to all_seats;
    create view seats as select all_seats.* from all_seats, pg_sleep(0.03);
    grant select on seats to public"""


async def check(exam: Examination) -> None:
    async with open_shop() as shop:
        await shop.look.execute(REPORT)
        async with shop.open(exam) as opened:
            if not opens(exam, opened, "the shop", services=2):
                return
            seat_map, report = opened.outcome.value
            truth, numbers = await _seats(shop), await _numbers(shop)
            office = call(exam, report, [()] * 8, limit=10)
            await shop.wait_for(1, "wait_event = 'PgSleep'")
            maps = await at_once(exam, seat_map, [(5,)] * 4, limit=BOUND)
            reports = await results(office)
            right = sum(figures(one) == numbers for one in reports)
            exam.criterion(
                "8 reports at once, 0.6 s each: all come to their end, with the right numbers",
                right == 8,
                f"{right} of 8 do" + _first([one for one in reports if figures(one) != numbers]),
            )
            exam.criterion(
                "four customers meanwhile: each sees the seats in time",
                all(seats_of(one) == truth for one in maps),
                _answers(maps, truth, BOUND),
                timed=True,
            )
            is_stale = await _changes(exam, shop, opened)
            stuck = await _locked(exam, shop, opened)
            bad, empty = await at_once(exam, seat_map, [("five",), (999,)], limit=BOUND)
            exam.criterion(
                "an event_id that is no number: an error arrives; an event without seats: no rows",
                told(bad) and seats_of(empty) == {},
                f"{bad}; {empty}",
            )
            lost = await opened.lost()

        await shop.look.execute(SLOW)
        async with shop.open(exam) as opened:
            if not opens(exam, opened, "the shop", services=2):
                return
            crowd = await at_once(exam, opened.outcome.value[0], [(5,)] * CROWD, limit=BOUND)
            truth = await _seats(shop)
            served = sum(seats_of(one) == truth for one in crowd)
            exam.criterion(
                f"{CROWD} customers at once, when a seat map takes 30 ms: each is answered or told "
                '"busy" in time',
                served + sum(map(_is_busy, crowd)) == CROWD,
                f"all {CROWD}"
                if served + sum(map(_is_busy, crowd)) == CROWD
                else _answers(crowd, truth, BOUND),
                timed=True,
            )
            exam.criterion(
                "ten of them or more see the seats",
                served >= 10,
                "they do" if served >= 10 else f"{served} do",
                timed=True,
            )
            lost += await opened.lost()
        exam.criterion("connections", not lost, back(lost))

    if refused([*reports, *maps, *crowd]):
        exam.trap("more")
    elif not all(one.returned for one in reports):
        exam.trap("killed")
    elif sum(one.hung for one in crowd) > CROWD / 4:  # four connections serve 130 of them in time
        exam.trap("patient")
    elif any(_is_busy(one) or one.hung for one in maps) and served:
        exam.trap("starved")
    elif served < 10:
        exam.trap("refuses")
    elif is_stale:
        exam.trap("stale")
    elif any(one.hung for one in stuck):
        exam.trap("query")
    elif _is_busy(bad):
        exam.trap("swallowed")


async def _changes(exam: Examination, shop: Shop, opened: Opened) -> bool:
    """Whether a seat that is sold, and an order that is placed, are not in the next answers."""
    seat_map, report = opened.outcome.value
    before, numbers = await _seats(shop), await _numbers(shop)
    await shop.look.execute("update seats set status = 'sold' where event_id = 5 and label = 'A1'")
    await shop.look.execute(
        "insert into orders (customer_id, total_cents, basket) values (1, 1, '{}')"
    )
    now = await _seats(shop)
    seen, other = await at_once(exam, seat_map, [(5,), (3,)], limit=BOUND)
    known = (await at_once(exam, report, [()], limit=3))[0]
    exam.criterion(
        "a seat is sold, an order placed: the next seat map and report show it",
        seats_of(seen) == now and figures(known) == await _numbers(shop),
        f"{_answers([seen], now, BOUND)}; the report: {figures(known) or known}",
        timed=True,
    )
    exam.criterion(
        "the seat map of another event shows that event",
        seats_of(other) == await _seats(shop, 3),
        str(other),
    )
    return seats_of(seen) == before or figures(known) == numbers


async def _locked(exam: Examination, shop: Shop, opened: Opened) -> list[Outcome]:
    """A migration locks the table of the seats while four customers look at it."""
    blocker = await admin(shop.stack)
    await blocker.execute("begin; lock table seats in access exclusive mode")
    stuck = await at_once(exam, opened.outcome.value[0], [(5,)] * 4, limit=LOCKED)
    lost = await opened.lost()
    await blocker.execute("rollback")
    await blocker.close()
    exam.criterion(
        'the table is locked: each of four customers is told "busy" in time, and no connection '
        "goes on waiting",
        all(map(_is_busy, stuck)) and not lost,
        f"{_answers(stuck, {}, LOCKED)}; connections: {back(lost)}",
        timed=True,
    )
    return stuck


async def _seats(shop: Shop, event: int = 5) -> Seats:
    rows = await shop.look.fetch("select label, status from seats where event_id = $1", event)
    return {row["label"]: row["status"] for row in rows}


async def _numbers(shop: Shop) -> tuple[int, int]:
    orders, cents = await shop.look.fetchrow("select count(*), sum(total_cents) from orders")
    return orders, cents


def _is_busy(one: Outcome) -> bool:
    return one.returned and isinstance(one.value, str) and one.value == "busy"


def _first(others: Sequence[Outcome]) -> str:
    return f", {len(others)} others, the first: {others[0]}" if others else ""


def _answers(outcomes: Sequence[Outcome], truth: Seats, limit: float) -> str:
    served = sum(one.returned and seats_of(one) == truth for one in outcomes)
    parts = [f"{served} see the seats", f'{sum(map(_is_busy, outcomes))} are told "busy"']
    if late := sum(one.hung for one in outcomes):
        parts.append(f"{late} were still waiting after {limit:g} s")
    others = [
        one for one in outcomes if not one.hung and not _is_busy(one) and seats_of(one) != truth
    ]
    return ", ".join(parts) + _first(others)
