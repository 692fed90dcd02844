"""The morning of the sale: a seat map that answers in time, while the office runs its reports."""

from __future__ import annotations

from collections.abc import Sequence

from ...checking.examination import Examination
from ...checking.outcome import Outcome
from .shop import at_once, back, call, open_shop, opens, refused, results

TITLE = "a seat map that answers in time"

HINTS = (
    "Who may have all four connections at once, and for how long? And who limits the wait of "
    "those that get none?",
    "Two limits, for two things: the reports must never have all connections, and a customer must "
    "not wait longer than half a second. The office can wait.",
    'An asyncio.Semaphore around the reports; acquire(timeout=) in seat_map(), with "busy" for '
    'its TimeoutError. A second semaphore, looked at with locked(), says "busy" at once.',
)

TRAPS = {
    "patient": "Customers waited, and nothing ended it. command_timeout and fetch(timeout=) begin "
    "when the query does, which is after the wait for a connection.",
    "starved": 'Customers were told "busy" while the shop had time for them: reports held the '
    "connections.",
    "refuses": "Hardly anybody saw the seats. Four connections could serve many more of them "
    "within half a second.",
    "killed": "Reports did not come to their end. A limit on time does not share the connections.",
    "more": "PostgreSQL was asked for more connections than this role may have (53300).",
}

BOUND = 1.0  # seconds; the learner is told half of it, so that a slow machine fails nobody
REPORT = """
    create function sales_report() returns table (orders bigint, cents bigint) language plpgsql as
    $$ begin
        perform pg_sleep(0.6);
        return query select count(*), sum(total_cents) from public.orders;
    end $$"""
SLOW = """
    alter table seats rename to all_seats;
    create view seats as select all_seats.* from all_seats, pg_sleep(0.05);
    grant select on seats to public"""


async def check(exam: Examination) -> None:
    async with open_shop() as shop:
        await shop.look.execute(REPORT)
        async with shop.open(exam) as opened:
            if not opens(exam, opened, "the shop", services=2):
                return
            seat_map, report = opened.outcome.value
            office = call(exam, report, [()] * 8, limit=10)
            await shop.wait_for(1, "wait_event = 'PgSleep'")
            maps = await at_once(exam, seat_map, [(5,)] * 4, limit=BOUND)
            reports = await results(office)
            exam.criterion(
                "8 reports at once, 0.6 s each: all come to their end",
                all(map(_is_report, reports)),
                f"{sum(map(_is_report, reports))} of {len(reports)} do",
            )
            exam.criterion(
                "four customers meanwhile: each sees the seats in time",
                all(map(_is_map, maps)),
                _answers(maps),
                timed=True,
            )
            lost = await opened.lost()

        await shop.look.execute(SLOW)
        async with shop.open(exam) as opened:
            if not opens(exam, opened, "the shop", services=2):
                return
            seat_map, _ = opened.outcome.value
            crowd = await at_once(exam, seat_map, [(5,)] * 200, limit=BOUND)
            served = sum(map(_is_map, crowd))
            told = sum(one.value == "busy" for one in crowd if one.returned)
            exam.criterion(
                "200 customers at once, when a seat map takes 50 ms: each is answered or told "
                '"busy" in time',
                served + told == 200,
                _answers(crowd),
                timed=True,
            )
            exam.criterion(
                "ten of them or more see the seats", served >= 10, f"{served} do", timed=True
            )
            lost += await opened.lost()
        exam.criterion("connections", not lost, back(lost))

    if refused([*reports, *maps, *crowd]):
        exam.trap("more")
    elif not all(map(_is_report, reports)):
        exam.trap("killed")
    elif any(one.hung for one in crowd):
        exam.trap("patient")
    elif not all(map(_is_map, maps)):
        exam.trap("starved")
    elif served < 10:
        exam.trap("refuses")


def _is_report(one: Outcome) -> bool:
    return one.returned and not isinstance(one.value, str) and bool(one.value)


def _is_map(one: Outcome) -> bool:
    return (
        one.returned
        and not isinstance(one.value, str)
        and hasattr(one.value, "__len__")
        and len(one.value) == 100
    )


def _answers(outcomes: Sequence[Outcome]) -> str:
    busy = sum(one.value == "busy" for one in outcomes if one.returned)
    late = sum(one.hung for one in outcomes)
    served = sum(map(_is_map, outcomes))
    parts = [f"{served} see the seats", f'{busy} are told "busy"']
    if late:
        parts.append(f"{late} were still waiting after {BOUND:g} s")
    if other := [
        one for one in outcomes if not one.hung and not _is_map(one) and one.value != "busy"
    ]:
        parts.append(f"{len(other)} others, the first: {other[0]}")
    return ", ".join(parts)
