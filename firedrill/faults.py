"""States of PostgreSQL that are over too soon to be met by chance, held long enough to be looked
at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import asyncpg

from .servers.server import SUPERUSER, Server


@contextlib.asynccontextmanager
async def shutting_down(postgres: Server) -> AsyncIterator[None]:
    """A smart shutdown waits for the last client, and this holds one.

    Afterwards the server is started again.

    https://www.postgresql.org/docs/17/server-shutdown.html
    """
    last_client = await asyncpg.connect(postgres.dsn(user=SUPERUSER))
    try:
        await asyncio.to_thread(postgres.sh, "kill -TERM $(head -n 1 postmaster.pid)")
        await _until_refused(postgres, "shutting down")
        yield
    finally:
        await last_client.close()
        await asyncio.to_thread(
            postgres.restart
        )  # a fast shutdown, which ends what other clients there are


@contextlib.asynccontextmanager
async def starting_up(postgres: Server, seconds: float) -> AsyncIterator[None]:
    """A start that is not over until `seconds` after the block began: the server recovers from
    an archive that is slow to answer.

    Afterwards the server is up.
    https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-PITR-RECOVERY
    """
    connection = await asyncpg.connect(postgres.dsn(user=SUPERUSER))
    await connection.execute(
        "alter system set restore_command = 'while test -e slow; do sleep 0.02; done; false'"
    )
    await connection.close()
    await asyncio.to_thread(postgres.sh, "touch slow recovery.signal")
    await asyncio.to_thread(postgres.stop)

    async def answer_the_archive() -> None:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(postgres.sh, "rm -f slow")

    start = asyncio.create_task(asyncio.to_thread(postgres.start))
    answer = None
    try:
        await _until_refused(postgres, "starting up")
        answer = asyncio.create_task(answer_the_archive())
        yield
    finally:
        await (answer or asyncio.to_thread(postgres.sh, "rm -f slow"))
        await start


async def _until_refused(postgres: Server, text: str, limit: float = 10) -> None:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            await (await asyncpg.connect(postgres.dsn(), timeout=limit)).close()
        except asyncpg.CannotConnectNowError as error:
            if text in str(error):
                return
        except OSError:
            pass  # not listening yet, or no longer
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{postgres.name} was not {text} within {limit} s")
