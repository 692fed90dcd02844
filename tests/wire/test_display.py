"""What is shown: table and picture."""

from __future__ import annotations

import asyncio
import io
import ssl
from typing import Any

import asyncpg
import pytest
import trustme

from firedrill import tls, views, wire, worker
from firedrill.servers import Stack
from firedrill.wire import picture
from firedrill.wire.table import flights

from .common import EXPECTED, console, example, said, sent


def test_asyncpgs_round_trips_are_those_of_its_cache(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack, in_front_of="postgres") as tap:

            async def trace(action: Any) -> tuple[list[str], int]:
                tap.clear()
                await action
                return sent(tap), tap.round_trips("app")

            options: dict[str, Any] = {"server_settings": {"application_name": "app"}}
            cached = await asyncpg.connect(tap.dsn(), **options)
            assert await trace(cached.fetchval("select 1")) == (
                [
                    "Parse __asyncpg_stmt_1__, Describe, Flush",
                    "Bind __asyncpg_stmt_1__, Execute, Sync",
                ],
                2,
            )
            assert await trace(cached.fetchval("select 1")) == (
                ["Bind __asyncpg_stmt_1__, Execute, Sync"],
                1,
            )
            await cached.execute("create temp table em (i int primary key)")
            rows = [(number,) for number in range(5)]
            insert = "insert into em values ($1)"
            name = "__asyncpg_stmt_2__"
            assert await trace(cached.executemany(insert, rows)) == (
                [f"Parse {name}, Describe, Flush", f"(Bind {name}, Execute) x 5, Sync"],
                2,
            )
            await cached.execute("truncate em")
            assert await trace(cached.executemany(insert, rows)) == (
                [f"(Bind {name}, Execute) x 5, Sync"],
                1,
            )
            statement = await cached.prepare("select 2")
            assert await trace(statement.fetchval()) == (
                ["Bind __asyncpg_stmt_3__, Execute, Sync"],
                1,
            )

            async def cursor() -> None:
                async with cached.transaction():
                    assert (
                        len([row async for row in cached.cursor("select generate_series(1, 120)")])
                        == 120
                    )

            assert await trace(cursor()) == (
                [
                    "Query",
                    "Parse __asyncpg_stmt_4__, Describe, Flush",
                    "Bind __asyncpg_stmt_4__, Execute __asyncpg_portal_5__, Sync",
                    "Execute __asyncpg_portal_5__, Sync",
                    "Execute __asyncpg_portal_5__, Sync",
                    "Close __asyncpg_portal_5__, Sync",
                    "Query",
                ],
                7,
            )
            await cached.close()

            tap.clear()
            uncached = await asyncpg.connect(
                tap.dsn(), statement_cache_size=0, server_settings={"application_name": "app"}
            )
            for _ in range(2):
                tap.clear()
                await uncached.fetchval("select 1")
                assert sent(tap, "app 2") == [
                    "Parse (unnamed), Describe, Flush",
                    "Parse (unnamed), Bind, Execute, Sync",
                ]
                assert tap.round_trips("app") == tap.round_trips("app 2") == tap.round_trips() == 2
            await uncached.execute("create temp table em (i int primary key)")
            tap.clear()
            await uncached.executemany(insert, rows)
            assert sent(tap, "app 2") == [
                "Parse (unnamed), Describe, Flush",
                "Parse (unnamed), (Bind, Execute) x 5, Sync",
            ]
            statement = await uncached.prepare("select 2")
            tap.clear()
            await statement.fetchval()
            assert sent(tap, "app 2") == ["Parse (unnamed), Bind, Execute, Sync"]
            tap.clear()
            await uncached.execute("select 1; select 2")
            assert sent(tap, "app 2") == ["Query"]
            await uncached.close()
            assert said(tap)[-1][1] == "Terminate"

            async with asyncpg.create_pool(tap.dsn(), min_size=1, max_size=1, **options) as pool:
                await pool.fetchval("select 1")
                tap.clear()
                await pool.fetchval("select 1")
                bind, reset = flights(
                    [event for event in tap.events if event.direction == "frontend"]
                )
                assert bind.messages.startswith("Bind")
                assert "UNLISTEN" in reset.detail

    asyncio.run(main())


def test_the_table_shows_both_sides_in_order(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await example(tap)
            assert [
                line.rstrip() for line in repr(tap.table()).splitlines()
            ] == EXPECTED.splitlines()
            assert "ReadyForQuery" not in repr(tap.table(hide=("ReadyForQuery",)))
            assert "SET application_name='app'" in repr(tap.table(startup=True))
            # What a client itself sets is shown, in PgBouncer's own words too.
            tap.clear()
            await connection.execute("SET application_name='other';")
            assert (
                len(
                    [
                        row
                        for row in tap.table().rows
                        if row["detail"] == "SET application_name='other';"
                    ]
                )
                == 2
            )
            await connection.close()
        assert "Query" in repr(tap.table()), "it can be read when it is closed"
        assert repr(tap) == "wire: closed"

    asyncio.run(main())


def test_start_up_is_shown_on_demand_and_keeps_its_secrets(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            await (await asyncpg.connect(tap.dsn("session"))).close()
            assert [message for _, message, _ in said(tap)] == ["Terminate"]
            text = repr(tap.table(startup=True))
            assert "StartupMessage" in text
            assert "SASLInitialResponse" in text
            assert stack.postgres.password not in text
            tap.clear()
            with pytest.raises(asyncpg.ProtocolViolationError):
                await asyncpg.connect(tap.dsn("session"), password="guess")
            assert (
                "PgBouncer → client 2",
                "ErrorResponse",
                "08P01 SASL authentication failed",
            ) in said(tap)

    asyncio.run(main())


def test_a_picture_has_a_lane_for_each_end_and_is_the_same_for_the_same_events(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    displayed: list[tuple[Any, Any]] = []
    monkeypatch.setattr(
        "IPython.display.display", lambda data, raw, metadata: displayed.append((data, metadata))
    )

    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await example(tap)
            tap.draw()
            tap.draw()
            (data, metadata), again = displayed
            assert (data, metadata) == again
            assert data["image/png"].startswith(b"\x89PNG")
            assert data["text/plain"] == metadata["image/png"]["alt"] == repr(tap.table())
            await connection.execute("select '$x$ \\frac <&>', '" + "long " * 200 + "'")
            shown = flights(tap.events)
            marked, plain = io.BytesIO(), io.BytesIO()
            picture.draw(shown, mark=(1,)).savefig(marked)
            picture.draw(shown).savefig(plain)
            assert marked.getvalue() != plain.getvalue()
            assert picture.lanes(shown) == ["app", "PgBouncer", "backend A"]
            picture.draw([]).savefig(io.BytesIO())
            await connection.close()

    asyncio.run(main())


def test_backends_have_the_same_letters_in_the_views(stack: Stack) -> None:
    async def main() -> None:
        for _ in range(2):
            with wire.tap(stack) as tap:
                connections = [await asyncpg.connect(tap.dsn("transaction")) for _ in range(3)]
                for number, connection in enumerate(connections):
                    await connection.execute(f"begin; select {number}")
                seen = {
                    row["query"]: row["backend"]
                    for row in (await views.backends(stack.postgres)).rows
                }
                shown = {
                    detail: target.removeprefix("PgBouncer → backend ")
                    for target, _, detail in said(tap)
                    if target.startswith("PgBouncer → backend")
                }
                assert (
                    shown
                    == seen
                    == {"begin; select 0": "A", "begin; select 1": "B", "begin; select 2": "C"}
                )
                for connection in connections:
                    await connection.close()

    asyncio.run(main())


def test_wrong_rows_are_seen_on_the_wire(fresh: Stack) -> None:
    """Facts section 4.2: two processes, two servers, one name of a statement."""

    async def main() -> None:
        console(fresh, "set max_prepared_statements = 0")
        with wire.tap(fresh) as tap:
            a, b = [
                await worker.start(dsn=tap.dsn("transaction"), name=name) for name in ("a", "b")
            ]
            for one in (a, b):
                await one(
                    "c = await asyncpg.connect(dsn, server_settings={'application_name': name})"
                )
            await b("await c.execute('begin')")
            await a("await c.fetchval('select 111')")
            await a("await c.execute('begin')")
            await b("await c.execute('rollback')")
            await b("await c.fetchval('select 222')")
            await a("await c.execute('rollback')")
            other = await asyncpg.connect(tap.dsn("transaction"))
            await other.execute("begin")
            tap.clear()
            assert [
                await one(f"await c.fetchval('select {number}')")
                for one, number in ((a, 111), (b, 222))
            ] == [222, 222]
            bind, answer = (
                "Bind __asyncpg_stmt_1__, Execute, Sync",
                "BindComplete, DataRow, PortalSuspended, ReadyForQuery I",
            )
            assert said(tap)[:4] == [
                ("a → PgBouncer", bind, "at most 1 row"),
                ("PgBouncer → backend A", bind, "at most 1 row"),
                ("backend A → PgBouncer", answer, "222"),
                ("PgBouncer → a", answer, "222"),
            ]
            await other.close()
            await a.stop()
            await b.stop()

    asyncio.run(main())


def test_a_cancel_request_is_shown_and_reaches_its_query(stack: Stack) -> None:
    async def main() -> None:
        with wire.tap(stack) as tap:
            connection = await asyncpg.connect(
                tap.dsn("session"), server_settings={"application_name": "slow"}
            )
            tap.clear()
            with pytest.raises(TimeoutError):
                await connection.fetchval("select pg_sleep(60)", timeout=0.1)
            assert await connection.fetchval("select 1") == 1
            assert (
                "slow → PgBouncer",
                "CancelRequest",
                "on a connection of its own, for slow",
            ) in said(tap)
            assert (
                "PgBouncer → backend A",
                "CancelRequest",
                "on a connection of its own, for backend A",
            ) in said(tap)
            assert "57014 canceling statement due to user request" in repr(tap.table())
            await connection.close()

    asyncio.run(main())


def test_tls_goes_through_and_is_shown_as_bytes(fresh: Stack) -> None:
    async def main() -> None:
        ca = trustme.CA()
        await tls.enable(fresh.postgres, ca)
        context = ssl.create_default_context(cadata=ca.cert_pem.bytes().decode())
        with wire.tap(fresh, in_front_of="postgres") as tap:
            connection = await asyncpg.connect(tap.dsn(), ssl=context)
            tap.clear()
            assert await connection.fetchval("select repeat('x', 1000000)") == "x" * 1_000_000
            shown = said(tap)
            assert {message for _, message, _ in shown} == {"TLS"}
            assert {end for end, _, _ in shown} == {
                "client 1 → PostgreSQL",
                "PostgreSQL → client 1",
            }
            assert any(int(detail.removesuffix(" bytes")) > 1_000_000 for _, _, detail in shown)
            await connection.close()
            tap.clear()
            await (await asyncpg.connect(tap.dsn(), ssl="require", direct_tls=True)).close()
            assert {message for _, message, _ in said(tap)} == {"TLS"}
        with wire.tap(fresh) as tap:
            connection = await asyncpg.connect(tap.dsn("session"))
            assert await connection.fetchval("select 1") == 1
            assert "TLS" in [
                message for end, message, _ in said(tap) if end == "PgBouncer → PostgreSQL"
            ]
            await connection.close()

    asyncio.run(main())
