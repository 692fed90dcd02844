"""The matrix of pool modes: what its probes see, and that one leaves nothing for the next."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from firedrill import modes, servers
from firedrill.servers.server import SUPERUSER


def test_every_feature_works_without_pgbouncer_and_session_mode_refuses_startup_parameters() -> (
    None
):
    with servers.open() as stack:
        rows = {row["feature"]: row for row in asyncio.run(modes.matrix(stack)).rows}
    assert list(rows) == list(modes.FEATURES)
    assert {row["direct"] for row in rows.values()} == {"works"}
    assert [name for name, row in rows.items() if row["session"] != "works"] == [
        "server_settings jit"
    ]
    assert rows["SET search_path"]["transaction"] == "lost, leaks"
    for mode in ("transaction", "statement"):
        assert rows["session-level lock"][mode] == "held twice"
    assert rows["LISTEN"]["transaction"] == "never comes"
    assert rows["transaction()"]["statement"] == "refused"


@pytest.mark.parametrize("kept", [0, 200])
def test_what_asyncpg_prepares_depends_on_max_prepared_statements(kept: int) -> None:
    async def matrix(stack: servers.Stack) -> dict[str, str]:
        console = await asyncpg.connect(stack.pgbouncer.dsn("pgbouncer", user=SUPERUSER))
        await console.execute(f"set max_prepared_statements = {kept}")
        found = await modes.matrix(stack, "fetch, prepared by asyncpg", "cursor()", "SET LOCAL")
        return {row["feature"]: row["transaction"] for row in found.rows}

    with servers.open() as stack:
        found = asyncio.run(matrix(stack))
    assert set(found.values()) == ({"works"} if kept else {"works", "does not exist"})
    assert found["SET LOCAL"] == "works"


@pytest.mark.downloads
def test_a_copy_that_keeps_its_server_connection_does_not_disturb_the_other_probes() -> None:
    """PgBouncer 1.26 often leaves the server connection of asyncpg's COPY with its client."""

    async def seen(stack: servers.Stack) -> set[str]:
        names = ("copy_records_to_table", "session-level lock")
        rows = [(await modes.matrix(stack, *names)).rows[1] for _ in range(8)]
        return {row[mode] for row in rows for mode in ("transaction", "statement")}

    with servers.open("embedded", pgbouncer="1.26") as stack:
        assert asyncio.run(seen(stack)) == {"held twice"}
