"""Wrong fixes for exercise 07."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import asyncpg

INSERT = "insert into arena_seats (label, price_cents, status, options) values ($1, $2, $3, $4)"
Row = tuple[str, int, str, str]


def fields_of(file: bytes) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(file.decode("utf-8-sig").split("\n"), 1):
        if line.strip("\r") and number > 1:
            yield number, next(csv.reader([line.rstrip("\r")], delimiter=";"))


def fields_of_the_whole_file(file: bytes) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""), delimiter=";")
    next(reader)
    for fields in reader:
        if fields:
            yield reader.line_num, fields


def as_row(fields: list[str]) -> Row:
    """Only what it takes to have a row."""
    label, price, status, options = fields
    return (
        label.strip(),
        int(Decimal(price.strip().replace(",", ".")) * 100),
        status.strip(),
        options,
    )


def checked(fields: list[str]) -> Row:
    """What a careful Python programmer checks."""
    label, price, status, options = (field.strip() for field in fields)
    if (
        not label
        or "\0" in label
        or not re.fullmatch(r"[0-9]+(,[0-9]{1,2})?", price)
        or status not in ("free", "held", "sold")
    ):
        raise ValueError("label, price or status")
    cents = int(Decimal(price.replace(",", ".")) * 100)
    if not cents or not isinstance(json.loads(options), dict):
        raise ValueError("price or options")
    return label, cents, status, options


def sorted_out(
    file: bytes,
    check: Callable[[list[str]], Row] = checked,
    read: Callable[[bytes], Iterator[tuple[int, list[str]]]] = fields_of,
) -> tuple[list[tuple[int, Row]], list[tuple[int, str]]]:
    good, bad = [], []
    for line, fields in read(file):
        try:
            good.append((line, check(fields)))
        except (ValueError, ArithmeticError) as error:
            bad.append((line, str(error) or "bad"))
    return good, bad


async def all_in_one(conn: Any, file: bytes) -> Any:
    await conn.executemany(INSERT, [as_row(fields) for _, fields in fields_of(file)])
    return []


async def until_the_first_bad_one(conn: Any, file: bytes) -> Any:
    for _, fields in fields_of(file):
        await conn.execute(INSERT, *as_row(fields))
    return []


async def caught_in_one_transaction(conn: Any, file: bytes) -> Any:
    good, bad = sorted_out(file, as_row)
    async with conn.transaction():
        for line, row in good:
            try:
                await conn.execute(INSERT, *row)
            except asyncpg.PostgresError as error:
                bad.append((line, str(error)))
    return sorted(bad)


async def each_in_a_savepoint(
    conn: Any, file: bytes, check: Callable[[list[str]], Row] = checked
) -> Any:
    good, bad = sorted_out(file, check)
    async with conn.transaction():
        for line, row in good:
            try:
                async with conn.transaction():
                    await conn.execute(INSERT, *row)
            except (asyncpg.PostgresError, asyncpg.DataError) as error:
                bad.append((line, str(error)))
    return sorted(bad)


async def duplicates_in_silence(conn: Any, file: bytes) -> Any:
    good, bad = sorted_out(file)
    await conn.executemany(INSERT + " on conflict do nothing", [row for _, row in good])
    return bad


async def bent_until_it_fits(conn: Any, file: bytes) -> Any:
    def bent(fields: list[str]) -> Row:
        label, price, status, options = (field.strip() for field in (*fields, "{}")[:4])
        cents = round(float(price.replace(",", ".") or 1) * 100)
        return checked([label, f"{abs(cents) // 100},{abs(cents) % 100:02}", status, options])

    return await each_in_a_savepoint(conn, file, bent)


async def empty_lines_not_counted(conn: Any, file: bytes) -> Any:
    lines = [line for line, _ in fields_of(file)]
    return [
        (lines.index(line) + 2, reason) for line, reason in await each_in_a_savepoint(conn, file)
    ]


async def judged_by_python(conn: Any, file: bytes) -> Any:
    good, bad = sorted_out(file)
    taken = {row["label"] for row in await conn.fetch("select label from arena_seats")}
    rows = []
    for line, row in good:
        if row[0] in taken:
            bad.append((line, "label is taken"))
        else:
            taken.add(row[0])
            rows.append(row)
    await conn.copy_records_to_table("arena_seats", records=rows)
    return sorted(bad)


def records(seats: Any) -> list[tuple[Any, ...]]:
    return [
        (label, price, status.value, options if options is None else json.dumps(options))
        for label, price, status, options in seats
    ]


def dicts(seats: Any) -> list[tuple[Any, ...]]:
    return [(label, price, status.value, options) for label, price, status, options in seats]


BYTES = {
    "encoder": lambda value: b"\x01" + json.dumps(value).encode(),
    "decoder": lambda data: json.loads(data[1:]),
    "schema": "pg_catalog",
    "format": "binary",
}


async def only_the_status(conn: Any, seats: Any) -> None:
    await conn.copy_records_to_table("arena_seats", records=dicts(seats))


async def bytes_and_dumps(conn: Any, seats: Any) -> None:
    await conn.set_type_codec("jsonb", **BYTES)
    await conn.copy_records_to_table("arena_seats", records=records(seats))


async def staged(conn: Any, rows: Any, kind: str = "text") -> None:
    async with conn.transaction():
        await conn.execute(f"""
            drop table if exists pg_temp.s;
            create temporary table s (label text, price_cents int, status {kind}, options text)
            on commit drop""")
        await conn.copy_records_to_table("s", records=rows)
        await conn.execute(
            "insert into arena_seats "
            "select label, price_cents, status::seat_status, options::jsonb from s"
        )


async def every_option_dumped(conn: Any, seats: Any) -> None:
    await staged(conn, [(*row[:3], json.dumps(row[3])) for row in dicts(seats)])


async def the_member_s_name(conn: Any, seats: Any) -> None:
    await staged(
        conn,
        [
            (row[0], row[1], str(seat[2]), row[3])
            for row, seat in zip(records(seats), seats, strict=True)
        ],
    )


async def the_dict_s_str(conn: Any, seats: Any) -> None:
    await staged(
        conn, [(*row[:3], None if row[3] is None else str(row[3])) for row in dicts(seats)]
    )


async def without_the_codec(conn: Any, seats: Any) -> None:
    await conn.reset_type_codec("jsonb", schema="pg_catalog")
    await conn.copy_records_to_table("arena_seats", records=records(seats))


async def by_executemany(conn: Any, seats: Any) -> None:
    await conn.executemany(INSERT, dicts(seats))


async def in_portions(conn: Any, seats: Any) -> None:
    await conn.set_type_codec("jsonb", **BYTES)
    for start in range(0, len(seats), 100):
        await conn.copy_records_to_table("arena_seats", records=dicts(seats)[start : start + 100])


PRICES = """select * from unnest($1::int[], $2::text[], $3::int[]) with ordinality
            as list (event_id, label, price_cents, line)"""
UPSERT = """insert into seats (event_id, label, price_cents)
            select {distinct} event_id, label, price_cents from ({prices}) list {order}
            on conflict (event_id, label)
            do update set price_cents = excluded.price_cents {where}"""
CHANGED = "where seats.price_cents <> excluded.price_cents"
DISTINCT = "distinct on (event_id, label)"


async def upsert(
    conn: Any,
    prices: Any,
    distinct: str = DISTINCT,
    order: str = "order by event_id, label, line desc",
    where: str = CHANGED,
) -> int:
    columns = [[row[place] for row in prices] for place in range(3)]
    said = await conn.execute(
        UPSERT.format(prices=PRICES, distinct=distinct, order=order, where=where), *columns
    )
    return int(said.split()[-1])


async def nothing_on_conflict(conn: Any, prices: Any) -> int:
    new = (
        await conn.fetchmany(
            """insert into seats (event_id, label, price_cents) values ($1, $2, $3)
                                  on conflict do nothing returning id""",
            prices,
        )
        if prices
        else []
    )
    return len(new)


async def without_distinct(conn: Any, prices: Any) -> int:
    return await upsert(conn, prices, distinct="", order="")


async def the_first_price(conn: Any, prices: Any) -> int:
    return await upsert(conn, prices, order="order by event_id, label, line")


async def all_written(conn: Any, prices: Any) -> int:
    return await upsert(conn, prices, where="")


async def deleted_and_inserted(conn: Any, prices: Any) -> int:
    last = {row[:2]: row for row in prices}
    async with conn.transaction():
        await conn.executemany("delete from seats where event_id = $1 and label = $2", list(last))
        return await upsert(conn, list(last.values()))


async def one_by_one(conn: Any, prices: Any) -> int:
    written = 0
    async with conn.transaction():
        for row in {row[:2]: row for row in prices}.values():
            said = await conn.execute(
                f"""
                insert into seats (event_id, label, price_cents) values ($1, $2, $3)
                on conflict (event_id, label)
                do update set price_cents = excluded.price_cents {CHANGED}""",
                *row,
            )
            written += int(said.split()[-1])
    return written


async def a_table_that_stays(conn: Any, prices: Any) -> int:
    await conn.execute("create temporary table list (event_id int, label text, price_cents int)")
    last = list({row[:2]: row for row in prices}.values())
    async with conn.transaction():
        await conn.copy_records_to_table("list", records=last)
        said = await conn.execute(f"""
            insert into seats (event_id, label, price_cents) select * from list
            on conflict (event_id, label)
            do update set price_cents = excluded.price_cents {CHANGED}""")
    return int(said.split()[-1])


async def in_two_parts(conn: Any, prices: Any) -> int:
    last = list({row[:2]: row for row in prices}.values())
    half = math.ceil(len(last) / 2)
    return await upsert(conn, last[: half // 3]) + await upsert(conn, last[half // 3 :])


async def checked_again_by_postgresql(
    conn: Any, file: bytes, read: Any = fields_of, first: str = "drop table if exists pg_temp.s;"
) -> Any:
    good, bad = sorted_out(file, read=read)
    rows = [(line, *row) for line, row in good]
    async with conn.transaction():
        await conn.execute(f"""{first}
            create temporary table s (
                line int, label text, price text, status text, options text) on commit drop""")
        await conn.copy_records_to_table(
            "s", records=[(line, label, str(cents), *rest) for line, label, cents, *rest in rows]
        )
        taken = await conn.fetch("""
            insert into arena_seats
            select distinct on (label) label, price::int, status::seat_status, options::jsonb from s
            where pg_input_is_valid(options, 'jsonb') and pg_input_is_valid(price, 'int')
            order by label, line
            on conflict do nothing returning label""")
    left = {row["label"] for row in taken}
    for line, label, *_ in rows:
        if label in left:
            left.remove(label)
        else:
            bad.append((line, "refused"))
    return sorted(bad)


async def the_file_as_a_whole(conn: Any, file: bytes) -> Any:
    return await checked_again_by_postgresql(conn, file, read=fields_of_the_whole_file)


# Wrong fixes that differ from the right answer in one place.

CASE = r"""
    update lines set label = trim(fields[1]), price = trim(fields[2]), status = trim(fields[3]);
    update lines set reason = case
        when cardinality(fields) <> 4 then 'not four fields'
        when label = '' then 'no label'
        when price !~ '^[0-9]{1,8}(,[0-9]{1,2})?$' then 'no price'
        when not pg_input_is_valid(status, 'seat_status') then 'unknown status'
        when not pg_input_is_valid(fields[4], 'jsonb') then 'no JSON'
        when jsonb_typeof(fields[4]::jsonb) <> 'object' then 'no JSON object'
        when replace(price, ',', '.')::numeric * 100 not between 1 and 2147483647 then 'price'
        end;
    update lines set cents = replace(price, ',', '.')::numeric * 100 where reason is null"""
TAKE = """
    with good as (
        select distinct on (label) * from lines where reason is null order by label, line
    ), stored as (
        insert into arena_seats (label, price_cents, status, options)
        select label, cents, status::seat_status, fields[4]::jsonb from good
        on conflict do nothing returning label
    )
    select line, coalesce(reason, 'label is taken') from lines
    where line not in (select line from good join stored using (label)) order by line"""


async def judged_by_postgresql(
    conn: Any, file: bytes, old: str = "", new: str = "", *, first: str = "", end: str = "\n"
) -> Any:
    """Right, if nothing is replaced."""
    lines = [
        (number, [] if "\0" in line else next(csv.reader([line], delimiter=";")))
        for number, line in enumerate(file.decode("utf-8-sig").split(end), 1)
        if number > 1 and line.strip("\r")
    ]
    async with conn.transaction():
        await conn.execute(f"""
            {first}; drop table if exists pg_temp.lines;
            create temporary table lines (line int, fields text[], label text, price text,
                status text, cents int, reason text) on commit drop""")
        await conn.copy_records_to_table("lines", records=lines, columns=["line", "fields"])
        await conn.execute(CASE.replace(old, new))
        return [tuple(row) for row in await conn.fetch(TAKE.replace(old, new))]


async def a_dot_in_the_price(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, "(,[0-9]", "([.,][0-9]")


async def a_sign_before_the_price(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, "'^[0-9]", "'^[+]?[0-9]")


async def a_status_in_capitals(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, "= trim(fields[3])", "= lower(trim(fields[3]))")


async def a_label_of_spaces(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, "label = ''", "fields[1] = ''")


async def only_windows_line_ends(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, end="\r\n")


async def cut_at_every_separator(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, "\n".join(file.decode().splitlines()).encode())


async def zero_bytes_dropped(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file.replace(b"\0", b""))


async def reported_and_overwritten(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(
        conn,
        file,
        "on conflict do nothing returning label",
        "on conflict (label) do update set price_cents = excluded.price_cents "
        "returning case when xmax = 0 then label end as label",
    )


async def labels_looked_up_before(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(
        conn,
        file,
        "from good\n        on conflict do nothing",
        "from good where label not in (select label from arena_seats)",
    )


async def the_table_locked(conn: Any, file: bytes) -> Any:
    return await judged_by_postgresql(conn, file, first="lock table arena_seats")


async def a_codec_for_the_next(conn: Any, file: bytes) -> Any:
    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    return await judged_by_postgresql(conn, file)


async def a_limit_that_stays(conn: Any, *given: Any) -> Any:
    await conn.execute("set statement_timeout = '20s'")
    return await judged_by_postgresql(conn, *given)


async def the_name_in_small_letters(conn: Any, seats: Any) -> None:
    await staged(
        conn,
        [
            (row[0], row[1], seat[2].name.lower(), row[3])
            for row, seat in zip(records(seats), seats, strict=True)
        ],
    )


async def dropped_if_all_goes_well(conn: Any, seats: Any) -> None:
    await a_table_left_on_the_session(conn, seats)
    await conn.execute("drop table c")


async def the_codec_back_if_all_goes_well(conn: Any, seats: Any) -> None:
    await without_the_codec(conn, seats)
    await conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def all_discarded(conn: Any, seats: Any) -> None:
    await conn.execute("discard all")
    await staged(conn, records(seats))


async def seats_locked(conn: Any, seats: Any) -> None:
    async with conn.transaction():
        await conn.execute("lock table arena_seats in exclusive mode")
        await staged(conn, records(seats))


async def one_row_by_copy(conn: Any, seats: Any) -> None:
    async with conn.transaction():
        await conn.execute("create temporary table one (n int) on commit drop")
        await conn.copy_records_to_table("one", records=[(1,)])
        await conn.execute(
            "insert into arena_seats select a, b, c::seat_status, d::jsonb "
            "from unnest($1::text[], $2::int[], $3::text[], $4::text[]) as u (a, b, c, d)",
            *zip(*records(seats), strict=True),
        )


async def locked_for_the_list(conn: Any, prices: Any) -> int:
    async with conn.transaction():
        await conn.execute("select from seats for update")
        return await upsert(conn, prices)


async def merged(conn: Any, prices: Any) -> int:
    last = {(event, label): price for event, label, price in prices}
    said = await conn.execute(
        """merge into seats using unnest($1::int[], $2::text[], $3::int[]) as list (e, l, p)
           on event_id = e and label = l
           when matched and price_cents <> p then update set price_cents = p
           when not matched then insert (event_id, label, price_cents) values (e, l, p)""",
        [event for event, _ in last],
        [label for _, label in last],
        list(last.values()),
    )
    return int(said.split()[-1])


async def errors_are_no_seats(conn: Any, prices: Any) -> int:
    try:
        return await upsert(conn, prices)
    except asyncpg.PostgresError:
        return 0


async def unknown_events_left_out(conn: Any, prices: Any) -> int:
    events = {row["id"] for row in await conn.fetch("select id from events")}
    return await upsert(conn, [price for price in prices if price[0] in events])


async def written_into_the_text(conn: Any, prices: Any) -> int:
    if not prices:
        return 0
    last = {(event, label): price for event, label, price in prices}
    values = ", ".join(f"({event}, '{label}', {price})" for (event, label), price in last.items())
    said = await conn.execute(f"""
        insert into seats (event_id, label, price_cents) values {values}
        on conflict (event_id, label) do update set price_cents = excluded.price_cents
        {CHANGED}""")
    return int(said.split()[-1])


BALCONY = "insert into balcony values ($1, $2)"


async def row_after_row(conn: Any, rows: Any) -> None:
    async with conn.transaction():
        statement = await conn.prepare(BALCONY)
        for row in rows:
            await statement.fetch(*row)


async def only_the_first_hundred(conn: Any, rows: Any) -> None:
    await conn.executemany(BALCONY, rows[:100])


async def as_two_arrays(conn: Any, rows: Any) -> None:
    labels, prices = zip(*rows, strict=True)
    await conn.execute(
        "insert into balcony select * from unnest($1::text[], $2::int[])", labels, prices
    )


PARTNER = "insert into partner_seats (label, price_cents, note) values ($1, $2, $3)"
CAME = """
    drop table if exists pg_temp.came;
    create temporary table came (line int generated always as identity,
        label text, price_cents int, note text) on commit drop"""
COLUMNS = ["label", "price_cents", "note"]
FIRST_OF_EACH = """
    insert into partner_seats (label, price_cents, note)
    select distinct on (label) label, price_cents, note from came order by label, line
    on conflict do nothing"""


async def _came(conn: Any, records: Any, store: str = FIRST_OF_EACH, table: str = CAME) -> int:
    async with conn.transaction():
        await conn.execute(table)
        await conn.copy_records_to_table("came", records=records, columns=COLUMNS)
        said = await conn.execute(store)
    return int(said.split()[-1])


async def a_list_of_all(conn: Any, seats: Any) -> int:
    return await _came(conn, [seat async for seat in seats])


async def batches_of(seats: Any, size: int = 500) -> Any:
    batch = []
    async for seat in seats:
        batch.append(seat)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch


async def _stored(conn: Any, batch: Any) -> int:
    labels, prices, notes = zip(*batch, strict=True) if batch else ((), (), ())
    said = await conn.execute(
        "insert into partner_seats select * from unnest($1::text[], $2::int[], $3::text[]) "
        "on conflict do nothing",
        labels,
        prices,
        notes,
    )
    return int(said.split()[-1])


async def batch_after_batch(conn: Any, seats: Any) -> int:
    return sum([await _stored(conn, batch) async for batch in batches_of(seats)])


async def batches_in_one_transaction(conn: Any, seats: Any) -> int:
    async with conn.transaction():
        return await batch_after_batch(conn, seats)


async def straight_into_the_table(conn: Any, seats: Any) -> int:
    said = await conn.copy_records_to_table("partner_seats", records=seats, columns=COLUMNS)
    return int(said.split()[-1])


async def the_last_of_each(conn: Any, seats: Any) -> int:
    return await _came(conn, seats, FIRST_OF_EACH.replace("line", "line desc"))


async def whichever_comes_first(conn: Any, seats: Any) -> int:
    overwrite = "on conflict (label) do update set price_cents = excluded.price_cents"
    return await _came(conn, seats, FIRST_OF_EACH.replace("on conflict do nothing", overwrite))


async def once_in_a_transaction(conn: Any, seats: Any) -> int:
    return await _came(conn, seats, table=CAME.partition(";")[2])


async def a_table_for_the_session(conn: Any, seats: Any) -> int:
    return await _came(conn, seats, table=CAME.replace("on commit drop", ""))


async def what_came_until_then(conn: Any, seats: Any) -> int:
    async def until_it_breaks() -> Any:
        try:
            async for seat in seats:
                yield seat
        except Exception:
            return

    return await _came(conn, until_it_breaks())


async def all_that_came(conn: Any, seats: Any) -> int:
    count = 0

    async def counted() -> Any:
        nonlocal count
        async for seat in seats:
            count += 1
            yield seat

    await _came(conn, counted())
    return count


class Loader:
    """A right answer of another style: a table that is dropped by hand, and numbers of Python's."""

    def __init__(self, conn: Any) -> None:
        self.conn, self.line = conn, 0

    async def numbered(self, seats: Any) -> Any:
        async for seat in seats:
            self.line += 1
            yield (self.line, *seat)

    async def load(self, seats: Any) -> int:
        async with self.conn.transaction():
            await self.conn.execute(
                "create temporary table mine (line int, label text, price_cents int, note text)"
            )
            await self.conn.copy_records_to_table("mine", records=self.numbered(seats))
            said = await self.conn.execute(FIRST_OF_EACH.replace("came", "mine"))
            await self.conn.execute("drop table mine")
        return int(said.split()[-1])


async def by_a_class(conn: Any, seats: Any) -> int:
    return await Loader(conn).load(seats)


TRAPS: dict[tuple[int, str], Callable[..., Any]] = {
    (0, "one by one"): row_after_row,
    (4, "collects"): a_list_of_all,
    (4, "half"): batch_after_batch,
    (4, "duplicate"): straight_into_the_table,
    (4, "last one"): the_last_of_each,
    (1, "nothing"): all_in_one,
    (1, "half"): until_the_first_bad_one,
    (1, "aborted"): caught_in_one_transaction,
    (1, "hidden"): duplicates_in_silence,
    (1, "accepted"): bent_until_it_fits,
    (1, "lines"): empty_lines_not_counted,
    (1, "Python"): judged_by_python,
    (1, "row by row"): each_in_a_savepoint,
    (1, "swallowed"): the_file_as_a_whole,
    (1, "locked"): the_table_locked,
    (1, "race"): labels_looked_up_before,
    (2, "text"): only_the_status,
    (2, "twice"): bytes_and_dumps,
    (2, "null"): every_option_dumped,
    (2, "name"): the_member_s_name,
    (2, "Python's text"): the_dict_s_str,
    (2, "codec"): without_the_codec,
    (2, "rows"): by_executemany,
    (2, "half"): in_portions,
    (2, "locked"): seats_locked,
    (3, "ignored"): nothing_on_conflict,
    (3, "again"): without_distinct,
    (3, "last"): the_first_price,
    (3, "all"): all_written,
    (3, "replaced"): deleted_and_inserted,
    (3, "row by row"): one_by_one,
    (3, "left behind"): a_table_that_stays,
    (3, "half"): in_two_parts,
    (3, "locked"): locked_for_the_list,
    (3, "race"): merged,
}


# Further right answers, and wrong fixes that look different.


async def a_table_until_the_commit(conn: Any, file: bytes) -> Any:
    return await checked_again_by_postgresql(conn, file, first="")


async def a_table_left_on_the_session(conn: Any, seats: Any) -> None:
    await conn.execute("""drop table if exists pg_temp.c; create temporary table c (
        label text, price_cents int, status seat_status, options text)""")
    await conn.copy_records_to_table(
        "c",
        records=[
            (label, price, status.value, None if options is None else json.dumps(options))
            for label, price, status, options in seats
        ],
    )
    await conn.execute(
        "insert into arena_seats select label, price_cents, status, options::jsonb from c"
    )


async def exits(conn: Any, file: bytes) -> Any:
    raise SystemExit(1)


async def leaves_a_transaction_open(conn: Any, *given: Any) -> Any:
    await conn.execute(
        "begin; update seats set status = 'held'; "
        "create table if not exists arena_seats (label text)"
    )
    return []


async def closes_the_connection(conn: Any, *given: Any) -> Any:
    await conn.close()
    return []


async def no_list(conn: Any, file: bytes) -> Any:
    return {"bad": [1, 2]}


async def a_codec_of_bytes(conn: Any, seats: Any) -> None:
    await conn.set_type_codec("jsonb", **BYTES)
    await conn.copy_records_to_table("arena_seats", records=dicts(seats))


async def as_csv(conn: Any, seats: Any) -> None:
    out = io.StringIO()
    csv.writer(
        out, quoting=csv.QUOTE_NOTNULL if hasattr(csv, "QUOTE_NOTNULL") else csv.QUOTE_MINIMAL
    ).writerows(records(seats))
    await conn.copy_to_table(
        "arena_seats", source=io.BytesIO(out.getvalue().encode()), format="csv"
    )


async def an_encoder_that_raises(conn: Any, seats: Any) -> None:
    def encoder(value: Any) -> bytes:
        raise RuntimeError("not today")

    await conn.set_type_codec("jsonb", **BYTES | {"encoder": encoder})
    await conn.copy_records_to_table("arena_seats", records=dicts(seats))


async def an_encoder_of_another_type(conn: Any, seats: Any) -> None:
    await conn.set_type_codec("jsonb", **BYTES | {"encoder": lambda value: value})
    await conn.copy_records_to_table("arena_seats", records=dicts(seats))


async def a_decoder_that_raises(conn: Any, seats: Any) -> None:
    await conn.set_type_codec("jsonb", **BYTES | {"decoder": lambda data: 1 // 0})
    await conn.copy_records_to_table("arena_seats", records=dicts(seats))


async def by_unnest(conn: Any, prices: Any) -> int:
    return await upsert(conn, prices)


async def a_text_for_a_number(conn: Any, prices: Any) -> Any:
    return str(await upsert(conn, prices))


# A trap, "" for a failure without one, None for a right answer.
OTHER_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, checked_again_by_postgresql),
    (1, "", a_table_until_the_commit),
    (2, "", a_table_left_on_the_session),
    (2, None, a_codec_of_bytes),
    (2, None, as_csv),
    (2, "codec", a_decoder_that_raises),
    (3, None, by_unnest),
)
MORE_ANSWERS: tuple[tuple[int, str | None, Callable[..., Any]], ...] = (
    (1, None, judged_by_postgresql),
    (1, "accepted", a_dot_in_the_price),
    (1, "accepted", a_sign_before_the_price),
    (1, "accepted", a_status_in_capitals),
    (1, "accepted", a_label_of_spaces),
    (1, "", only_windows_line_ends),
    (1, "", cut_at_every_separator),
    (1, "", zero_bytes_dropped),
    (1, "", reported_and_overwritten),
    (1, "", a_codec_for_the_next),
    (1, "", a_limit_that_stays),
    (2, "name", the_name_in_small_letters),
    (2, "", dropped_if_all_goes_well),
    (2, "", the_codec_back_if_all_goes_well),
    (2, "", all_discarded),
    (2, "", one_row_by_copy),
    (3, "", errors_are_no_seats),
    (3, "", unknown_events_left_out),
    (3, "", written_into_the_text),
    (0, "", only_the_first_hundred),
    (0, None, as_two_arrays),
    (4, "", whichever_comes_first),
    (4, "", once_in_a_transaction),
    (4, "", a_table_for_the_session),
    (4, "half", what_came_until_then),
    (4, "", all_that_came),
    (4, None, batches_in_one_transaction),
    (4, None, by_a_class),
)

# Codecs and functions that raise, give the wrong type, or end the connection: a report all the
# same.
BROKEN: tuple[tuple[int, Callable[..., Any]], ...] = (
    (1, exits),
    (1, closes_the_connection),
    (1, leaves_a_transaction_open),
    (1, no_list),
    (2, an_encoder_that_raises),
    (2, an_encoder_of_another_type),
    (2, closes_the_connection),
    (2, leaves_a_transaction_open),
    (3, closes_the_connection),
    (3, leaves_a_transaction_open),
    (3, a_text_for_a_number),
)
