"""The views show what is there, under names that stay the same."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from firedrill import servers, views
from firedrill.servers import Stack


@pytest.fixture
def stack() -> object:
    with servers.open("embedded") as stack:
        yield stack


def test_backends_keep_their_letters_and_the_onlooker_is_not_shown(stack: Stack) -> None:
    async def main() -> None:
        assert repr(await views.backends(stack.postgres)) == "(no client is connected)"
        first = await asyncpg.connect(
            stack.postgres.dsn(), server_settings={"application_name": "first"}
        )
        second = await asyncpg.connect(
            stack.postgres.dsn(), server_settings={"application_name": "second"}
        )
        await second.execute("select   1,\n 2")
        assert [
            (row["backend"], row["application"], row["state"])
            for row in (await views.backends(stack.postgres)).rows
        ] == [("A", "first", "idle"), ("B", "second", "idle")]
        await first.close()
        third = await asyncpg.connect(stack.postgres.dsn())
        await third.execute("begin")
        shown = await views.backends(stack.postgres)
        assert [row["backend"] for row in shown.rows] == ["B", "C"]
        assert shown.rows[0]["query"] == "select 1, 2"
        assert shown.rows[1]["state"] == "idle in transaction"
        assert "backend    application" in repr(shown)
        await third.execute("select '" + "x" * 100 + "'")
        assert len((await views.backends(stack.postgres)).rows[1]["query"]) == 48

    asyncio.run(main())


def test_locks_say_who_waits_behind_whom(stack: Stack) -> None:
    async def main() -> None:
        assert repr(await views.locks(stack.postgres)) == "(nobody waits for a lock)"
        holder, waiter = [await asyncpg.connect(stack.postgres.dsn()) for _ in range(2)]
        await holder.execute("begin; lock table seats")
        waiting = asyncio.create_task(waiter.fetchval("select count(*) from seats"))
        while not len(found := await views.locks(stack.postgres)):
            await asyncio.sleep(0.01)
        assert found.rows == [
            {
                "backend": "B",
                "waits for": "relation",
                "held by": "A",
                "query": "select count(*) from seats",
            }
        ]
        await holder.execute("rollback")
        assert await waiting == 500

    asyncio.run(main())


def test_pools_count_clients_and_servers_by_state(stack: Stack) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(stack.pgbouncer.dsn("transaction"))
        transaction = connection.transaction()
        await transaction.start()
        (pool,) = [
            row
            for row in (await views.pools(stack.pgbouncer)).rows
            if row["database"] == "transaction"
        ]
        assert (pool["cl_active"], pool["sv_active"], pool["sv_idle"], pool["pool_mode"]) == (
            1,
            1,
            0,
            "transaction",
        )
        await transaction.rollback()
        (pool,) = [
            row
            for row in (await views.pools(stack.pgbouncer)).rows
            if row["database"] == "transaction"
        ]
        assert (pool["cl_active"], pool["sv_active"], pool["sv_idle"]) == (1, 0, 1)
        servers_shown = await views.show(stack.pgbouncer, "servers")
        assert servers_shown[0]["database"] == "transaction"
        await connection.close()

    asyncio.run(main())
