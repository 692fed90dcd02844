"""Wrong fixes for exercise 06."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

SEATS = (
    "select title, venue, label, status, price_cents from seats join events on events.id = event_id"
)


def escaped(text: str) -> str:
    return re.sub(r"[\\%_]", r"\\\g<0>", text)


def digits(text: str) -> int:
    if not re.fullmatch("[0-9]+", text):
        raise ValueError(f"no price: {text!r}")
    return int(text)


async def searched(
    conn: Any,
    given: tuple[Any, ...],
    *,
    pattern: Callable[[str], str] = escaped,
    order: str | None = None,
    check_names: bool = True,
    check_values: bool = True,
    price: Callable[[str], Any] | None = None,
) -> list[Any]:
    """The right answer, but for what the wrong fixes change."""
    title, venues, statuses, lowest, highest, sort, direction = given
    if check_values and (
        "\0" in "".join([title or "", *(venues or [])])
        or {*(statuses or ())} - {"free", "held", "sold"}
    ):
        raise ValueError("no such title, venue or status")
    price = price or digits
    if check_names and (
        sort not in ("title", "venue", "price_cents") or direction not in ("asc", "desc")
    ):
        raise ValueError("unknown order")
    conditions, values = ["true"], []
    for condition, value in (
        ("title ilike ${}", None if title is None else f"%{pattern(title)}%"),
        ("venue = any(${})", venues),
        ("status = any(${})", statuses),
        ("price_cents >= ${}", None if lowest is None else price(lowest)),
        ("price_cents <= ${}", None if highest is None else price(highest)),
    ):
        if value is not None:
            values.append(value)
            conditions.append(condition.format(len(values)))
    if order is None:
        order = f"{sort} {direction}"
    else:
        values.append(sort)
        order = order.format(len(values))
    try:
        rows: list[Any] = await conn.fetch(
            f"{SEATS} where {' and '.join(conditions)} order by {order}", *values
        )
        return rows
    except asyncpg.DataError as error:
        raise ValueError(str(error)) from error


async def quotes_doubled_by_hand(
    conn: Any,
    title: Any,
    venues: Any,
    statuses: Any,
    lowest: Any,
    highest: Any,
    sort: str,
    direction: str,
) -> Any:
    if sort not in ("title", "venue", "price_cents") or direction not in ("asc", "desc"):
        raise ValueError("unknown order")
    if not {"free", "held", "sold"}.issuperset(statuses or ()):
        raise ValueError("unknown status")

    def text(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    conditions = ["true"]
    if title is not None:
        conditions.append(f"title ilike {text('%' + escaped(title) + '%')}")
    for column, values in (("venue", venues), ("status::text", statuses)):
        if values is not None:
            conditions.append(f"{column} = any(array[{', '.join(map(text, values))}]::text[])")
    if lowest is not None:
        conditions.append(f"price_cents >= {lowest}")
    if highest is not None:
        conditions.append(f"price_cents <= {highest}")
    return await conn.fetch(f"{SEATS} where {' and '.join(conditions)} order by {sort} {direction}")


async def the_column_as_it_comes(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, check_names=False)


async def no_quotes_allowed(conn: Any, *given: Any) -> Any:
    if any("'" in text for text in (given[0] or "", *(given[1] or ()), *(given[2] or ()))):
        raise ValueError("no quotes, please")
    return await searched(conn, given)


async def the_visitors_patterns(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, pattern=str)


async def nothing_ticked_is_no_condition(
    conn: Any, title: Any, venues: Any, statuses: Any, *given: Any
) -> Any:
    return await searched(conn, (title, venues or None, statuses or None, *given))


async def ordered_by_a_value(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, order="${}::text")


async def venues_as_one_text(conn: Any, title: Any, venues: Any, *given: Any) -> Any:
    return await searched(conn, (title, None if venues is None else [",".join(venues)], *given))


async def cents_cut_off(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, price=lambda text: int(float(text)))


async def whatever_int_reads(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, price=int)


async def without_a_sign(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, price=lambda text: abs(int(text)))


async def refused_by_the_server(conn: Any, *given: Any) -> Any:
    return await searched(conn, given, check_values=False)


async def errors_as_they_come(
    conn: Any, title: Any, venues: Any, statuses: Any, *given: Any
) -> Any:
    if {*(statuses or ())} - {"free", "held", "sold"}:
        raise ValueError("no such status")
    try:
        return await searched(conn, (title, venues, statuses, *given), check_values=False)
    except ValueError as error:
        if isinstance(error.__cause__, asyncpg.CharacterNotInRepertoireError):
            raise error.__cause__ from None
        raise


BETWEEN = (
    "select title from events where on_sale_at >= $1 and on_sale_at < $2 order by on_sale_at, id"
)


def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except KeyError as error:
        raise ValueError(name) from error


async def titles(conn: Any, query: str, *values: Any) -> list[str]:
    return [row["title"] for row in await conn.fetch(query, *values)]


async def naive_and_shifted(conn: Any, day: date, zone: str) -> list[str]:
    begin = datetime.combine(day, time(), zone_of(zone)).astimezone(UTC).replace(tzinfo=None)
    return await titles(conn, BETWEEN, begin, begin + timedelta(days=1))


async def date_of_the_session(conn: Any, day: date, zone: str) -> list[str]:
    zone_of(zone)
    return await titles(
        conn, "select title from events where on_sale_at::date = $1 order by on_sale_at, id", day
    )


async def twenty_four_hours(conn: Any, day: date, zone: str) -> list[str]:
    begin = datetime.combine(day, time(), zone_of(zone)).astimezone(UTC)
    return await titles(conn, BETWEEN, begin, begin + timedelta(hours=24))


async def the_day_in_utc(conn: Any, day: date, zone: str) -> list[str]:
    zone_of(zone)
    begin = datetime.combine(day, time(), UTC)
    return await titles(conn, BETWEEN, begin, begin + timedelta(days=1))


async def set_for_the_session(conn: Any, day: date, zone: str) -> list[str]:
    zone_of(zone)
    await conn.execute("select set_config('timezone', $1, false)", zone)
    return await titles(
        conn, "select title from events where on_sale_at::date = $1 order by on_sale_at, id", day
    )


async def in_no_order(conn: Any, day: date, zone: str) -> list[str]:
    here = zone_of(zone)
    return await titles(
        conn,
        BETWEEN.partition(" order by")[0],
        datetime.combine(day, time(), here),
        datetime.combine(day + timedelta(days=1), time(), here),
    )


INSERT = """insert into payments (order_id, amount_cents, method) values ($1, $2, 'card')
            returning amount_cents"""


def amount_of(amount: Any) -> Decimal:
    try:
        value = Decimal(str(amount))
    except InvalidOperation as error:
        raise ValueError(f"no amount: {amount!r}") from error
    if not value.is_finite() or not 0 < value * 100 < 2**31:
        raise ValueError(f"no amount: {amount!r}")
    return value


async def a_float_cut_off(conn: Any, order: int, amount: Any) -> Any:
    amount_of(amount)
    return await conn.fetchval(INSERT, order, float(amount) * 100)


async def to_the_nearest_cent(conn: Any, order: int, amount: Any) -> Any:
    cents = int((amount_of(amount) * 100).quantize(Decimal(1), ROUND_HALF_UP))
    return await conn.fetchval(INSERT, order, cents)


async def all_digits_of_the_float(conn: Any, order: int, amount: Any) -> Any:
    amount_of(amount)
    cents = (
        Fraction(amount) * 100 if isinstance(amount, float) else Fraction(amount_of(amount)) * 100
    )
    if cents.denominator != 1:
        raise ValueError(f"no amount: {amount!r}")
    return await conn.fetchval(INSERT, order, int(cents))


async def decimals_own_error(conn: Any, order: int, amount: Any) -> Any:
    cents = Fraction(Decimal(str(amount)) if Decimal(str(amount)).is_finite() else 0) * 100
    if cents.denominator != 1 or not 0 < cents < 2**31:
        raise ValueError(f"no amount: {amount!r}")
    return await conn.fetchval(INSERT, order, int(cents))


async def in_28_digits(conn: Any, order: int, amount: Any) -> Any:
    cents = amount_of(amount) * 100
    if cents != int(cents):
        raise ValueError(f"no amount: {amount!r}")
    return await conn.fetchval(INSERT, order, int(cents))


async def refused_by_the_table(conn: Any, order: int, amount: Any) -> Any:
    query = INSERT.replace(
        "$2", "case when $2::text::numeric * 100 % 1 = 0 then ($2::text::numeric * 100)::int end"
    )
    try:
        return await conn.fetchval(query, order, str(amount))
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
        raise ValueError(str(error)) from error


# Further right answers, and wrong fixes that look different.


async def without_patterns(
    conn: Any,
    title: Any,
    venues: Any,
    statuses: Any,
    lowest: Any,
    highest: Any,
    sort: str,
    direction: str,
) -> Any:
    order = (
        {"title": "title", "venue": "venue", "price_cents": "price_cents"},
        {"asc": "", "desc": "desc"},
    )
    try:
        return await conn.fetch(
            f"""{SEATS}
            where ($1::text is null or strpos(lower(title), lower($1)) > 0)
              and ($2::text[] is null or venue = any($2))
              and ($3::seat_status[] is null or status = any($3))
              and ($4::int is null or price_cents >= $4)
              and ($5::int is null or price_cents <= $5)
            order by {order[0][sort]} {order[1][direction]}""",
            title,
            venues,
            statuses,
            lowest and digits(lowest),
            highest and digits(highest),
        )
    except (KeyError, asyncpg.DataError) as error:
        raise ValueError(str(error)) from error


async def in_a_savepoint(conn: Any, *given: Any) -> Any:
    async with conn.transaction():
        return await without_patterns(conn, *given)


async def any_column_as_a_name(conn: Any, *given: Any) -> Any:
    given = (*given[:5], await conn.fetchval("select format('%I', $1::text)", given[5]), given[6])
    if given[6] not in ("asc", "desc"):
        raise ValueError("unknown direction")
    return await searched(conn, given, check_names=False)


async def in_the_query(conn: Any, day: date, zone: str) -> list[str]:
    try:
        return await titles(
            conn,
            """select title from events where (on_sale_at at time zone $2)::date = $1
                                     order by on_sale_at, id""",
            day,
            zone,
        )
    except asyncpg.DataError as error:
        raise ValueError(zone) from error


async def set_local(conn: Any, day: date, zone: str) -> list[str]:
    try:
        async with conn.transaction():
            await conn.execute("select set_config('timezone', $1, true)", zone)
            return await titles(
                conn,
                "select title from events where on_sale_at::date = $1 order by on_sale_at, id",
                day,
            )
    except asyncpg.DataError as error:
        raise ValueError(zone) from error


async def a_date_for_a_moment(conn: Any, day: date, zone: str) -> list[str]:
    zone_of(zone)
    return await titles(conn, BETWEEN, day, day + timedelta(days=1))


async def the_float_s_text(conn: Any, order: int, amount: Any) -> Any:
    cents = Fraction(amount_of(f"{amount!r}" if isinstance(amount, float) else amount)) * 100
    if cents.denominator != 1:
        raise ValueError(f"no amount: {amount!r}")
    return await conn.fetchval(INSERT, order, int(cents))


async def cut_on_purpose(conn: Any, order: int, amount: Any) -> Any:
    amount_of(amount)
    return await conn.fetchval(INSERT, order, int(float(amount) * 100))


async def nearest_float(conn: Any, order: int, amount: Any) -> Any:
    return await conn.fetchval(INSERT, order, round(float(amount_of(amount)) * 100))


async def between_and(conn: Any, day: date, zone: str) -> list[str]:
    here = zone_of(zone)
    begin, end = (datetime.combine(one, time(), here) for one in (day, day + timedelta(days=1)))
    return await titles(
        conn,
        "select title from events where on_sale_at between $1 and $2 order by on_sale_at, id",
        begin,
        end,
    )


async def in_the_query_with_a_savepoint(conn: Any, day: date, zone: str) -> list[str]:
    async with conn.transaction():
        return await in_the_query(conn, day, zone)


async def in_the_query_after_a_look(conn: Any, day: date, zone: str) -> list[str]:
    if not await conn.fetchval("select $1 in (select name from pg_timezone_names)", zone):
        raise ValueError(zone)
    return await in_the_query(conn, day, zone)


async def set_local_and_back(conn: Any, day: date, zone: str) -> list[str]:
    zone_of(zone)
    return await set_local(conn, day, zone)


async def every_error_is_the_amount(conn: Any, order: int, amount: Any) -> Any:
    try:
        return await the_float_s_text(conn, order, amount)
    except Exception as error:
        raise ValueError(f"no amount: {amount!r}") from error


async def a_digit_and_a_line_end(conn: Any, *given: Any) -> Any:
    for price in given[3:5]:
        if price is not None and not re.search(r"^[0-9]+$", price):
            raise ValueError(f"no price: {price!r}")
    stripped = [price and price.strip() for price in given[3:5]]
    return await in_a_savepoint(conn, *given[:3], *stripped, *given[5:])


async def either_case(conn: Any, *given: Any) -> Any:
    return await in_a_savepoint(conn, *given[:6], given[6].lower())


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (1, "by hand"): quotes_doubled_by_hand,
    (1, "names"): the_column_as_it_comes,
    (1, "refused"): no_quotes_allowed,
    (1, "patterns"): the_visitors_patterns,
    (1, "empty"): nothing_ticked_is_no_condition,
    (1, "constant"): ordered_by_a_value,
    (1, "joined"): venues_as_one_text,
    (1, "prices"): cents_cut_off,
    (1, "aborted"): refused_by_the_server,
    (2, "process"): naive_and_shifted,
    (2, "session"): date_of_the_session,
    (2, "24 hours"): twenty_four_hours,
    (2, "UTC"): the_day_in_utc,
    (2, "left"): set_for_the_session,
    (2, "order"): in_no_order,
    (2, "upper end"): between_and,
    (2, "posix"): in_the_query_with_a_savepoint,
    (2, "aborted"): in_the_query,
    (3, "every error"): every_error_is_the_amount,
    (3, "cut"): a_float_cut_off,
    (3, "rounded"): to_the_nearest_cent,
    (3, "aborted"): refused_by_the_table,
    (3, "digits"): all_digits_of_the_float,
    (3, "class"): decimals_own_error,
}


OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "aborted", without_patterns),
    (1, None, in_a_savepoint),
    (1, "names", any_column_as_a_name),
    (1, "aborted", errors_as_they_come),
    (1, "prices", whatever_int_reads),
    (1, "prices", without_a_sign),
    (2, "aborted", in_the_query),
    (2, "left", set_local),
    (2, "process", a_date_for_a_moment),
    (3, None, the_float_s_text),
    (3, "cut", cut_on_purpose),
    (3, "rounded", nearest_float),
    (3, "rounded", in_28_digits),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, "prices", a_digit_and_a_line_end),
    (1, "", either_case),
    (2, "posix", in_the_query_with_a_savepoint),
    (2, None, in_the_query_after_a_look),
    (2, "left", set_local_and_back),
    (2, "upper end", between_and),
    (3, "every error", every_error_is_the_amount),
)
