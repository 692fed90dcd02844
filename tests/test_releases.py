"""Code under another release of asyncpg: fetched, kept, refused where this Python has none."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from firedrill import releases, servers, worker
from firedrill.servers import Unavailable


def under(version: str | None, source: str, **variables: Any) -> Any:
    async def main() -> Any:
        process = await worker.start(asyncpg=version, **variables)
        try:
            return await process(source)
        finally:
            await process.stop()

    return asyncio.run(main())


@pytest.mark.downloads
def test_a_worker_runs_another_release_and_this_process_keeps_its_own() -> None:
    assert under("0.29", "asyncpg.__version__") == "0.29.0"
    assert under("0.30.0", "asyncpg.__version__") == "0.30.0"
    assert under(None, "asyncpg.__version__") == asyncpg.__version__
    assert releases.provide("0.29") == releases.provide("0.29.0")


MANY = """
conn = await asyncpg.connect(dsn)
[row[0] for row in await conn.fetchmany("select $1::int", [(1,), (2,)])]
"""


@pytest.mark.downloads
def test_another_release_talks_to_the_server_and_its_errors_arrive() -> None:
    """fetchmany() came with 0.30."""
    with servers.open("embedded") as stack:
        assert under("0.30.0", MANY, dsn=stack.postgres.dsn()) == [1, 2]
        with pytest.raises(AttributeError, match="fetchmany"):
            under("0.29.0", MANY, dsn=stack.postgres.dsn())
        with pytest.raises(asyncpg.DivisionByZeroError):
            under(
                "0.29.0",
                "await (await asyncpg.connect(dsn)).fetchval('select 1/0')",
                dsn=stack.postgres.dsn(),
            )


@pytest.mark.downloads
def test_a_release_that_does_not_exist_leaves_nothing() -> None:
    with pytest.raises(Unavailable, match=r"no asyncpg 0\.99\.0 that is built for Python"):
        releases.provide("0.99")
    assert not list(servers.cache.folder().glob("asyncpg-0.99*/"))


def test_what_is_no_release_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(Unavailable, match="is no release of asyncpg"):
        releases.provide("../0.30.0")
