"""TLS for PostgreSQL, switched on and off while it runs, with our own certificates.

All through SQL, so in a container too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg
import trustme

from .servers.server import SUPERUSER, Server


async def enable(postgres: Server, ca: trustme.CA | None = None, *names: str) -> None:
    """Give `postgres` a certificate for `names` (by default localhost and 127.0.0.1), signed by
    `ca`, and switch TLS on.

    Without `ca` the certificate is signed by itself. Called again, it exchanges the certificate:
    PostgreSQL reads it at a reload, see https://www.postgresql.org/docs/17/ssl-tcp.html
    """
    if ca:
        leaf = ca.issue_cert(*(names or ("localhost", "127.0.0.1")))
        key, chain = leaf.private_key_pem, leaf.cert_chain_pems
    else:
        itself = trustme.CA()
        key, chain = itself.private_key_pem, [itself.cert_pem]
    async with _superuser(postgres) as connection:
        await _write(connection, "server.key", key.bytes())
        await _write(connection, "server.crt", b"".join(blob.bytes() for blob in chain))
        await connection.execute("alter system set ssl = on")
        await _reload(connection)


async def disable(postgres: Server) -> None:
    async with _superuser(postgres) as connection:
        await connection.execute("alter system reset ssl")
        await _reload(connection)


async def require(postgres: Server, demanded: bool = True) -> None:
    """Refuse connections without TLS (or not any more): `hostssl` instead of `host` in
    pg_hba.conf."""
    before, after = ("\nhost ", "\nhostssl ") if demanded else ("\nhostssl ", "\nhost ")
    async with _superuser(postgres) as connection:
        rules: str = await connection.fetchval("select pg_read_file('pg_hba.conf')")
        await _write(connection, "pg_hba.conf", rules.replace(before, after).encode())
        await _reload(connection)


@contextlib.asynccontextmanager
async def _superuser(postgres: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.dsn(user=SUPERUSER), timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def _write(connection: asyncpg.Connection, name: str, content: bytes) -> None:
    """Into the data directory, readable by the server alone, as it asks for its key."""
    lines = await connection.fetchval("select quote_literal($1)", content.decode().rstrip("\n"))
    await connection.execute(
        f"copy (select string_to_table({lines}, e'\\n')) to program 'umask 077; cat >{name}'"
    )


async def _reload(connection: asyncpg.Connection) -> None:
    """Return when the server has: only then is `pg_conf_load_time()` later than the request."""
    asked = await connection.fetchval("select clock_timestamp()")
    await connection.execute("select pg_reload_conf()")
    while await connection.fetchval("select pg_conf_load_time() <= $1", asked):
        await asyncio.sleep(0.005)
