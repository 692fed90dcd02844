"""Wrong fixes for exercise 05."""

from __future__ import annotations

import json
from typing import Any

import orjson

CATALOG = {"schema": "pg_catalog"}
BINARY: dict[str, Any] = {"schema": "pg_catalog", "format": "binary"}


async def text_codecs(conn: Any) -> None:
    for name in ("json", "jsonb"):
        await conn.set_type_codec(name, encoder=json.dumps, decoder=json.loads, **CATALOG)


async def bytes_without_version(conn: Any) -> None:
    for name in ("json", "jsonb"):
        await conn.set_type_codec(
            name, encoder=lambda value: json.dumps(value).encode(), decoder=json.loads, **BINARY
        )


async def only_jsonb(conn: Any) -> None:
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: json.loads(data[1:]),
        **BINARY,
    )


async def bytes_for_both(conn: Any) -> None:
    await only_jsonb(conn)
    await conn.set_type_codec(
        "json", encoder=lambda value: json.dumps(value).encode(), decoder=json.loads, **BINARY
    )


async def encode_twice(conn: Any) -> None:
    await bytes_for_both(conn)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(json.dumps(value)).encode(),
        decoder=lambda data: twice(data[1:]),
        **BINARY,
    )


def twice(data: bytes) -> Any:
    value = json.loads(data)
    return json.loads(value) if isinstance(value, str) else value


async def with_orjson(conn: Any) -> None:
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
        **BINARY,
    )
    await conn.set_type_codec("json", encoder=orjson.dumps, decoder=orjson.loads, **BINARY)


async def default_is_str(conn: Any) -> None:
    await bytes_for_both(conn)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value, default=str).encode(),
        decoder=lambda data: json.loads(data[1:]),
        **BINARY,
    )


async def default_is_list(conn: Any) -> None:
    await bytes_for_both(conn)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value, default=list).encode(),
        decoder=lambda data: json.loads(data[1:]),
        **BINARY,
    )


async def decode_until_no_string(conn: Any) -> None:
    await bytes_for_both(conn)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=lambda data: twice(data[1:]),
        **BINARY,
    )


async def strings_unencoded(conn: Any) -> None:
    def encode(value: Any) -> bytes:
        return (value if isinstance(value, str) else json.dumps(value)).encode()

    await conn.set_type_codec("json", encoder=encode, decoder=json.loads, **BINARY)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + encode(value),
        decoder=lambda data: json.loads(data[1:]),
        **BINARY,
    )


async def without_escapes(conn: Any) -> None:
    def encode(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False).encode()

    await conn.set_type_codec("json", encoder=encode, decoder=json.loads, **BINARY)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + encode(value),
        decoder=lambda data: json.loads(data.removeprefix(b"\x01").decode()),
        **BINARY,
    )


async def name_of_the_member(conn: Any, status: Any) -> None:
    await conn.set_type_codec("seat_status", encoder=str, decoder=status)


async def name_in_bytes(conn: Any, status: Any) -> None:
    await conn.set_type_codec(
        "seat_status",
        format="binary",
        encoder=lambda member: str(member).encode(),
        decoder=lambda data: status(data.decode()),
    )


async def name_in_lower_case(conn: Any, status: Any) -> None:
    await conn.set_type_codec(
        "seat_status",
        format="binary",
        encoder=lambda member: member.name.lower().encode(),
        decoder=lambda data: status[data.decode().upper()],
    )


async def decoder_only(conn: Any, status: Any) -> None:
    await conn.set_type_codec("seat_status", encoder=lambda value: value, decoder=status)


async def encoder_only(conn: Any, status: Any) -> None:
    await conn.set_type_codec(
        "seat_status",
        format="binary",
        encoder=lambda member: member.value.encode(),
        decoder=lambda data: data.decode(),
    )


async def value_as_text(conn: Any, status: Any) -> None:
    await conn.set_type_codec("seat_status", encoder=lambda member: member.value, decoder=status)


STRINGS = "select id, basket from orders where jsonb_typeof(basket) = 'string'"
UPDATE = "update orders set basket = $2 where id = $1"


def an_object(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


async def dumps_again(conn: Any) -> int:
    repaired = 0
    for row in await conn.fetch(STRINGS):
        if basket := an_object(row["basket"]):
            await conn.execute(UPDATE, row["id"], json.dumps(json.dumps(basket)))
            repaired += 1
    return repaired


async def decode_when_reading(conn: Any) -> int:
    def patient(data: bytes) -> Any:
        value = json.loads(data[1:])
        return an_object(value) or value if isinstance(value, str) else value

    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + json.dumps(value).encode(),
        decoder=patient,
        **BINARY,
    )
    return 3


async def cast_every_string(conn: Any) -> int:
    done: str = await conn.execute(
        "update orders set basket = (basket #>> '{}')::jsonb where jsonb_typeof(basket) = 'string'"
    )
    return int(done.split()[-1])


async def cast_what_is_json(conn: Any) -> int:
    done: str = await conn.execute("""
        update orders set basket = (basket #>> '{}')::jsonb
        where jsonb_typeof(basket) = 'string' and (basket #>> '{}') is json""")
    return int(done.split()[-1])


async def strip_in_a_loop(conn: Any) -> int:
    repaired = set()
    while rows := await conn.fetch("""
            update orders set basket = (basket #>> '{}')::jsonb
            where jsonb_typeof(basket) = 'string'
              and case when (basket #>> '{}') is json scalar
                       then (basket #>> '{}')::jsonb #>> '{}'
                       else basket #>> '{}' end is json object
            returning id"""):
        repaired |= {row["id"] for row in rows}
    return len(repaired)


async def through_python(conn: Any) -> int:
    repaired = 0
    for row in await conn.fetch(STRINGS):
        if basket := an_object(row["basket"]):
            await conn.execute(UPDATE, row["id"], basket)
            repaired += 1
    return repaired


async def write_every_order(conn: Any) -> int:
    await conn.execute("""
        update orders set basket = case
            when jsonb_typeof(basket) = 'string' and (basket #>> '{}') is json object
            then (basket #>> '{}')::jsonb
            else basket end""")
    return 3


async def the_text_itself(conn: Any) -> int:
    repaired = 0
    for row in await conn.fetch(STRINGS):
        if an_object(row["basket"]):
            await conn.execute(
                "update orders set basket = $2::text::jsonb where id = $1", row["id"], row["basket"]
            )
            repaired += 1
    return repaired


async def the_text_if_still_a_string(conn: Any) -> int:
    repaired = 0
    for row in await conn.fetch(STRINGS):
        if an_object(row["basket"]):
            done = await conn.execute(
                """update orders set basket = $2::text::jsonb
                   where id = $1 and jsonb_typeof(basket) = 'string'""",
                row["id"],
                row["basket"],
            )
            repaired += done == "UPDATE 1"
    return repaired


async def in_one_statement(conn: Any, first: str = "") -> int:
    async with conn.transaction():
        if first:
            await conn.execute(first)
        done: str = await conn.execute("""
            update orders set basket = (basket #>> '{}')::jsonb
            where jsonb_typeof(basket) = 'string' and (basket #>> '{}') is json object""")
    return int(done.split()[-1])


async def the_table_locked(conn: Any) -> int:
    return await in_one_statement(conn, "lock table orders in share row exclusive mode")


async def every_order_locked(conn: Any) -> int:
    return await in_one_statement(conn, "select from orders for no key update")


async def orjson_and_json_for_the_rest(conn: Any) -> None:
    def encode(value: Any) -> bytes:
        try:
            return orjson.dumps(value)
        except TypeError:
            return json.dumps(value).encode()

    await conn.set_type_codec("json", encoder=encode, decoder=json.loads, **BINARY)
    await conn.set_type_codec(
        "jsonb",
        encoder=lambda value: b"\x01" + encode(value),
        decoder=lambda data: json.loads(data[1:]),
        **BINARY,
    )


# Codecs that raise, give the wrong type, or end the connection: a report all the same, without a
# trap or with one.


async def raises(conn: Any) -> None:
    raise RuntimeError("no codec today")


async def decoder_raises(conn: Any) -> None:
    def decoder(data: bytes) -> Any:
        raise KeyError("basket")

    for name in ("json", "jsonb"):
        await conn.set_type_codec(name, encoder=lambda value: None, decoder=decoder, **BINARY)


async def decoder_gives_what_equals_everything(conn: Any) -> None:
    class Agreeable:
        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            raise ValueError("no text")

    await bytes_for_both(conn)
    for name in ("json", "jsonb"):
        await conn.set_type_codec(
            name, encoder=lambda value: b"{}", decoder=lambda data: Agreeable(), **BINARY
        )


async def closes_the_connection(conn: Any, status: Any) -> None:
    await conn.close()


async def deletes_the_orders(conn: Any) -> int:
    await conn.execute("delete from payments; delete from orders")
    return 3


TRAPS = {
    (1, "text"): text_codecs,
    (1, "version"): bytes_without_version,
    (1, "one type"): only_jsonb,
    (1, "twice"): encode_twice,
    (1, "large"): with_orjson,
    (1, "anything"): default_is_str,
    (1, "decoded"): decode_until_no_string,
    (1, "as it is"): strings_unencoded,
    (2, "name"): name_of_the_member,
    (2, "reading only"): decoder_only,
    (2, "writing only"): encoder_only,
    (2, "text"): value_as_text,
    (3, "again"): dumps_again,
    (3, "reading"): decode_when_reading,
    (3, "stopped"): cast_every_string,
    (3, "strings"): cast_what_is_json,
    (3, "numbers"): through_python,
    (3, "all"): write_every_order,
    (3, "overwritten"): the_text_itself,
    (3, "locked"): the_table_locked,
}

OTHER_ANSWERS = (
    (1, None, without_escapes),
    (1, "anything", default_is_list),
    (2, "name", name_in_bytes),
    (2, "name", name_in_lower_case),
    (3, "strings", strip_in_a_loop),
    (3, None, in_one_statement),
)
MORE_ANSWERS = (
    (1, "anything", orjson_and_json_for_the_rest),
    (3, None, the_text_if_still_a_string),
    (3, "locked", every_order_locked),
)

# Reported, whatever they do.
BROKEN = (
    (1, raises),
    (1, decoder_raises),
    (1, decoder_gives_what_equals_everything),
    (2, closes_the_connection),
    (3, deletes_the_orders),
)
