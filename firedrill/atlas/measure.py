"""Measures rows on one set of versions, in a separate process: `__main__` starts one for each
column.

    python -m firedrill.atlas.measure 18 1.26 not-null-name     prints a line of JSON for each row

PYTHONPATH decides which asyncpg it is.
"""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg
import psycopg

from .. import servers
from ..servers import Stack, versions
from ..servers.server import SUPERUSER
from . import ROWS, rows
from .lab import Lab, said

PATIENCE = 25  # seconds for one row

assert rows


def main(postgres: str, pgbouncer: str, names: list[str]) -> None:
    stack: Stack | None = None
    try:
        for name in names:
            if stack is None:
                stack = servers.open("embedded", postgres=postgres, pgbouncer=pgbouncer)
                if name == names[0]:
                    print(json.dumps(["versions", _exact(stack)]), flush=True)
            lab = Lab(stack)
            try:
                answer = str(asyncio.run(_measure(name, lab)))
            except Exception as error:
                answer = f"not measured: {said(error)}"
            print(json.dumps([name, answer]), flush=True)
            stack = _fit_for_another(stack, answer)
    finally:
        if stack:
            stack.close()


async def _measure(name: str, lab: Lab) -> object:
    try:
        async with asyncio.timeout(PATIENCE):
            return await ROWS[name].measure(lab)
    finally:
        lab.close()


def _fit_for_another(stack: Stack, answer: str) -> Stack | None:
    """PgBouncer starts again and all sessions end: the next row finds nothing of this one."""
    healthy = stack.postgres.answers() and not answer.startswith("not measured")
    if not healthy:
        stack.close()
        return None
    stack.pgbouncer.kill()
    with psycopg.connect(stack.postgres.dsn(user=SUPERUSER), autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
    stack.pgbouncer.start()
    return stack


def _exact(stack: Stack) -> dict[str, str]:
    lab = Lab(stack)
    with psycopg.connect(stack.postgres.dsn()) as conn:
        (postgres,) = conn.execute("show server_version").fetchone() or ("",)
    return {
        "postgres": versions.read(str(postgres)),
        "pgbouncer": versions.read(str(lab.console("show version")[0]["version"])),
        "asyncpg": asyncpg.__version__,
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
