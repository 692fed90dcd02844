"""The errors of lesson 05."""

from __future__ import annotations

import contextlib
import enum
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import orjson

from firedrill import servers

from ..raising import raised_by

CATALOG: dict[str, Any] = {"schema": "pg_catalog"}
PARAMETER = "select $1::jsonb"


class SeatStatus(enum.Enum):
    FREE = "free"
    HELD = "held"


@contextlib.asynccontextmanager
async def session(stack: servers.Stack, create: str = "") -> AsyncIterator[Any]:
    """A connection with its own codecs. What `create` makes is undone at the end."""
    conn = await asyncpg.connect(stack.postgres.dsn())
    try:
        await conn.execute(f"begin; {create}")
        yield conn
    finally:
        await conn.close()


@contextlib.asynccontextmanager
async def with_codec(
    stack: servers.Stack,
    encoder: Callable[..., Any] = json.dumps,
    decoder: Callable[..., Any] = json.loads,
    **options: Any,
) -> AsyncIterator[Any]:
    async with session(stack) as conn:
        await conn.set_type_codec("jsonb", encoder=encoder, decoder=decoder, **CATALOG, **options)
        yield conn


async def json_is_a_str(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:

        async def use_a_str() -> Any:
            return (await conn.fetchval("select basket from orders where id = 1"))["seats"]

        return await raised_by(use_a_str())


async def dict_without_codec(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        return await raised_by(conn.fetchval(PARAMETER, {"event": 5}))


async def unknown_type(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        return await raised_by(conn.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads))


async def no_binary_encoder(stack: servers.Stack) -> BaseException:
    async with with_codec(stack) as conn:
        return await raised_by(
            conn.copy_records_to_table(
                "orders",
                columns=["customer_id", "total_cents", "basket"],
                records=[(1, 0, {"event": 5})],
            )
        )


async def text_encoding_of_composites(stack: servers.Stack) -> BaseException:
    async with with_codec(stack) as conn:
        return await raised_by(conn.fetchval("select o from orders o where id = 1"))


async def text_decoder_given_bytes(stack: servers.Stack) -> BaseException:
    async with with_codec(stack) as conn:
        return await raised_by(conn.fetchval("select row(id, basket) from orders where id = 1"))


async def invalid_json(stack: servers.Stack) -> BaseException:
    async with with_codec(stack) as conn:
        return await raised_by(conn.fetchval(PARAMETER, float("nan")))


async def bytes_for_text(stack: servers.Stack) -> BaseException:
    async with with_codec(stack, orjson.dumps, orjson.loads) as conn:
        return await raised_by(conn.fetchval(PARAMETER, {"event": 5}))


async def jsonb_version(stack: servers.Stack) -> BaseException:
    async with with_codec(stack, orjson.dumps, orjson.loads, format="binary") as conn:
        return await raised_by(conn.fetchval(PARAMETER, {"event": 5}))


async def orjson_type(stack: servers.Stack) -> BaseException:
    async with with_codec(stack, orjson.dumps, orjson.loads, format="binary") as conn:
        number = await conn.fetchval("select gen_random_uuid()")
        return await raised_by(conn.fetchval(PARAMETER, {"id": number}))


async def orjson_integer(stack: servers.Stack) -> BaseException:
    async with with_codec(stack, orjson.dumps, orjson.loads, format="binary") as conn:
        return await raised_by(conn.fetchval(PARAMETER, [2**64]))


async def orjson_key(stack: servers.Stack) -> BaseException:
    async with with_codec(stack, orjson.dumps, orjson.loads, format="binary") as conn:
        return await raised_by(conn.fetchval(PARAMETER, {7: "A1"}))


async def enum_label(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        await conn.set_type_codec("seat_status", encoder=str, decoder=SeatStatus)
        update = "update seats set status = $1 where id = 1"
        return await raised_by(conn.execute(update, SeatStatus.HELD))


async def enum_member(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        await conn.set_type_codec("seat_status", encoder=str, decoder=SeatStatus)
        return await raised_by(conn.fetchval("select 'sold'::seat_status"))


async def alias_non_scalar(stack: servers.Stack) -> BaseException:
    async with session(stack, "create type ticket as (label text, options jsonb)") as conn:
        return await raised_by(
            conn.set_builtin_type_codec("ticket", codec_name="pg_contrib.hstore")
        )


async def tuple_codec_only(stack: servers.Stack) -> BaseException:
    async with session(stack, "create type ticket as (label text, options jsonb)") as conn:
        return await raised_by(conn.set_type_codec("ticket", encoder=str, decoder=str))


async def codec_on_domain(stack: servers.Stack) -> BaseException:
    async with session(stack, "create domain cents as int") as conn:
        return await raised_by(conn.set_type_codec("cents", encoder=str, decoder=int))


async def codec_on_array(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        return await raised_by(conn.set_type_codec("_int4", encoder=str, decoder=str, **CATALOG))


async def infinite_interval(stack: servers.Stack) -> BaseException:
    async with session(stack) as conn:
        return await raised_by(conn.fetchval("select interval 'infinity'"))
