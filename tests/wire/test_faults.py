"""Delay, stall, cut, reset."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg
import pytest

from firedrill import wire
from firedrill.servers import Stack

from .common import said, until


async def pair(tap: wire.Tap) -> tuple[asyncpg.Connection, asyncpg.Connection]:
    a, b = [
        await asyncpg.connect(tap.dsn("session"), server_settings={"application_name": name})
        for name in ("A", "B")
    ]
    return a, b


def test_a_delay_is_for_each_way_and_for_whom_it_is_meant(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)

            async def seconds(connection: asyncpg.Connection) -> float:
                before = time.perf_counter()
                assert await connection.fetchval("select 1") == 1
                return time.perf_counter() - before

            await seconds(a)
            await seconds(b)
            tap.delay(0.2, client="A")
            assert await seconds(a) >= 0.4
            assert await seconds(b) < 0.4
            tap.delay(0.05)
            assert await seconds(b) >= 0.1
            tap.delay(0.001)
            tap.delay(0, client="A")
            # More than what is kept, in both directions.
            assert await a.fetchval("select $1::text", "x" * 5_000_000) == "x" * 5_000_000
            tap.delay(0)
            await a.close()
            await b.close()

    asyncio.run(main())


def test_a_client_that_leaves_during_a_delay_is_no_error(stack: Stack) -> None:
    """Its reset may overtake the delayed end of the other side, whose socket is then no longer
    connected."""

    async def main() -> None:
        with wire.tap(stack, in_front_of="postgres") as tap:
            complaints: list[dict[str, Any]] = []
            tap._loop.set_exception_handler(lambda _, context: complaints.append(context))
            connection = await asyncpg.connect(tap.dsn())
            tap.delay(0.1)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute("select 1")
            connection.terminate()
            await until(lambda: not tap._client_side.links)
            assert complaints == []

    asyncio.run(main())


def test_a_stall_holds_everything_and_then_delivers_it_in_order(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)
            with tap.stalled("A"):
                asked = asyncio.create_task(
                    a.fetchval("select string_agg(i::text, '') from generate_series(1, 99999) i")
                )
                late = asyncio.create_task(
                    asyncpg.connect(tap.dsn("session"), server_settings={"application_name": "A"})
                )
                for _ in range(20):
                    assert await b.fetchval("select 1") == 1
                assert not asked.done()
                assert not late.done()
                assert "string_agg" not in repr(tap.table()), "what was not delivered is not shown"
            assert await asked == "".join(map(str, range(1, 100000)))
            await (await late).close()
            assert {event.connection.label for event in tap.events if event.side == "client"} == {
                "A",
                "B",
                "A 2",
            }
            with tap.stalled():
                with pytest.raises(TimeoutError):
                    await b.fetchval("select 1", timeout=0.05)
                with pytest.raises(TimeoutError):
                    await asyncpg.connect(tap.dsn("session"), timeout=0.1)
                assert not a.is_closed()
            assert await b.fetchval("select 2") == 2
            assert await a.fetchval("select 2") == 2
            await a.close()
            await b.close()

    asyncio.run(main())


def test_a_stall_and_a_delay_keep_no_more_than_a_little(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, in_front_of="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn())
            (link,) = tap._client_side.links

            def kept() -> int:
                return sum(end._queued + end.transport.get_write_buffer_size() for end in link.ends)

            with tap.stalled():
                sending = asyncio.create_task(
                    connection.fetchval("select length($1::bytea)", b"x" * (64 << 20))
                )
                await asyncio.wait([sending], timeout=0.3)
                assert not sending.done()
                assert kept() < 1 << 20
            assert await sending == 64 << 20
            tap.delay(0.2)
            sending = asyncio.create_task(
                connection.fetchval("select length($1::bytea)", b"x" * (1 << 20))
            )
            await until(lambda: kept() > 1 << 16)
            assert kept() < 1 << 20
            tap.delay(0)
            assert await sending == 1 << 20
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fault", "mark", "cause"), [("cut", "FIN", type(None)), ("reset", "RST", ConnectionResetError)]
)
def test_what_asyncpg_raises_when_a_connection_is_broken(
    stack: Stack, fault: str, mark: str, cause: type
) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            a, b = await pair(tap)
            query = asyncio.create_task(a.fetchval("select pg_sleep(60)"))
            await until(lambda: "Execute" in repr(tap.table()))
            tap.clear()
            getattr(tap, fault)(client="A")
            with pytest.raises(
                asyncpg.ConnectionDoesNotExistError, match="closed in the middle of operation"
            ) as caught:
                await query
            assert type(caught.value.__cause__) is cause
            assert await b.fetchval("select 1") == 1
            assert ("PgBouncer → A", mark, "by the tap") in said(tap)
            getattr(tap, fault)()
            await until(b.is_closed)
            with pytest.raises(asyncpg.InterfaceError, match="connection is closed"):
                await b.fetchval("select 1")
            again = await asyncpg.connect(tap.dsn("session"))
            assert await again.fetchval("select 1") == 1
            await again.close()
            await until(lambda: not tap._client_side.links)

    asyncio.run(main())


def test_a_backends_connection_can_be_broken_too(fresh: Stack) -> None:
    async def main() -> None:
        with wire.tap(fresh) as tap:
            connection = await asyncpg.connect(tap.dsn("transaction"))
            await connection.execute("begin")
            tap.cut(client="backend A")
            await until(connection.is_closed)
            assert any(
                "ErrorResponse" in message and "server conn crashed" in detail
                for _, message, detail in said(tap)
            )

    asyncio.run(main())
