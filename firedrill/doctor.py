"""The command `firedrill doctor`: this machine, or a server of yours, which is only read."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import shutil
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from . import servers
from .servers import Unavailable, cache
from .servers.stack import leftovers

PACKAGES = ("asyncpg", "jupyterlab", "ipykernel", "nbval", "orjson", "psycopg", "matplotlib")
PATIENCE = 10  # seconds for each answer of the reader's server
# Each decides what a lesson shows. transaction_timeout came with PostgreSQL 17.
SETTINGS = (
    "max_connections",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "default_transaction_isolation",
    "jit",
)
QUESTION = "select name, setting from pg_catalog.pg_settings where name = any($1::text[])"
BACKEND = "select pg_catalog.pg_backend_pid()"
# On PgBouncer's console, which takes no other queries.
CONSOLE = ("show version", "show config")


def machine() -> int:
    """Look at this machine and open a pair of servers once."""
    healthy = True

    def line(good: bool, text: str) -> None:
        nonlocal healthy
        healthy = healthy and good
        print(f"{'✔' if good else '✘'} {text}")

    line(
        sys.version_info >= (3, 11), f"Python {platform.python_version()} (3.11 or newer is needed)"
    )
    for package in PACKAGES:
        try:
            line(True, f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            line(False, f"{package} is missing: pip install -r requirements.txt")
    folder = cache.folder()
    line(True, f"{folder}: {shutil.disk_usage(folder).free >> 20} MB free")
    kind, reason = servers.choose()
    line(True, f"servers: {kind} ({reason})")
    before = time.perf_counter()
    with servers.open(kind) as stack:
        line(True, f"{stack}; opened in {time.perf_counter() - before:.2f} s")
    line(not leftovers(folder / "run"), "nothing is left over from earlier notebooks")
    print(
        "All is well." if healthy else "Fix the lines marked ✘, then run `firedrill doctor` again."
    )
    return 0 if healthy else 1


def server(dsn: str, console: str | None = None) -> int:
    """Tell what `dsn` leads to.

    Everything is asked in one read-only transaction; no password is printed.

    `console` is the DSN of PgBouncer's admin console. Raises `Unavailable`.
    """
    _check(dsn)
    found = asyncio.run(_look(dsn))
    pooler = found["pooler"]
    config: dict[str, str] = {}
    if console:
        _check(console)
        pooler["version"], config = _ask_console(console)
    from .servers import versions

    postgres, pgbouncer = versions.read(found["server"]), pooler.get("version", "")
    print(f"connected to   {_public(dsn)}")
    print(f"server         PostgreSQL {found['server']}")
    print(f"pooler         {_told(pooler, behind=found['behind'])}")
    print(f"client         asyncpg {found['asyncpg']}, Python {platform.python_version()}")
    print("               statement_cache_size is 100 unless connect() or the pool says otherwise")
    for name, value in found["settings"].items():
        print(f"{name:<36} {value}")
    for name in ("max_prepared_statements", "pool_mode", "default_pool_size", "max_client_conn"):
        if name in config:
            print(f"PgBouncer's {name:<24} {config[name]}")
    _print_rows(postgres, pgbouncer, found["asyncpg"], bool(found["behind"]))
    print("Asked, in one transaction that was read-only and rolled back:")
    for question in (QUESTION, BACKEND, *(CONSOLE if console else ())):
        print(f"  {question}")
    return 0


def _check(dsn: str) -> None:
    if urlsplit(dsn).scheme not in ("postgresql", "postgres"):
        raise Unavailable(
            "`firedrill doctor` takes a DSN that begins with postgresql://. "
            "Without one, it looks at this machine."
        )


def _public(dsn: str) -> str:
    """Without the password, and without options, as one of these may be a password too."""
    parts = urlsplit(dsn)
    where = f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path or '/'}"
    return f"{where} as {parts.username or 'the default user'}"


async def _look(dsn: str) -> dict[str, Any]:
    import asyncpg

    try:
        # No statement is kept, so none is left on a server connection that goes to another client.
        connection = await asyncpg.connect(
            dsn, timeout=PATIENCE, command_timeout=PATIENCE, statement_cache_size=0
        )
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        said = f"{type(error).__name__}: {error}"
        secret = urlsplit(dsn).password
        if secret:
            said = said.replace(secret, "***")
        raise Unavailable(
            f"No connection to {_public(dsn)}.\n{said}\nWhat it means: firedrill explain '{said}'"
        ) from None
    try:
        transaction = connection.transaction(readonly=True)
        try:
            await transaction.start()
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(
                f"{_public(dsn)} refuses a transaction: {error}\n"
                "PgBouncer's pool_mode = statement does. "
                "Name a database of another mode, or PostgreSQL itself."
            ) from None
        try:
            rows = await connection.fetch(QUESTION, list(SETTINGS))
            behind = await connection.fetchval(BACKEND) != connection.get_server_pid()
        finally:
            await transaction.rollback()
        settings = connection.get_settings()
        return {
            "server": settings.server_version,
            # PgBouncer gives each client a process number that is not the backend's.
            "behind": behind,
            "pooler": {
                name.removeprefix("pgbouncer."): getattr(settings, name)
                for name in ("pgbouncer.version", "pgbouncer.pool_mode")
                if hasattr(settings, name)
            },
            "settings": dict(sorted((row["name"], row["setting"]) for row in rows)),
            "asyncpg": asyncpg.__version__,
        }
    finally:
        await connection.close(timeout=PATIENCE)


def _ask_console(dsn: str) -> tuple[str, dict[str, str]]:
    """PgBouncer's version and configuration.

    The console takes simple queries only, hence psycopg's ClientCursor.
    """
    import psycopg

    from .servers import versions

    try:
        with psycopg.connect(
            dsn, autocommit=True, connect_timeout=PATIENCE, cursor_factory=psycopg.ClientCursor
        ) as console:
            version = str((console.execute("show version").fetchone() or ("",))[0])
            config = console.execute("show config").fetchall()
    except psycopg.Error as error:
        raise Unavailable(
            f"The console at {_public(dsn)} does not answer: {type(error).__name__}"
        ) from None
    return versions.read(version), {str(row[0]): str(row[1]) for row in config}


def _told(pooler: dict[str, str], *, behind: bool) -> str:
    if pooler.get("version"):
        mode = pooler.get("pool_mode")
        return f"PgBouncer {pooler['version']}" + (f", pool_mode {mode}" if mode else "")
    if behind:
        return (
            "one is in between: the process number given at log-in is not the backend's. "
            "PgBouncer tells its version and mode from 1.26 on; before, --console=DSN asks its "
            "console"
        )
    return "none seen: the process number given at log-in is the backend's own"


def _print_rows(postgres: str, pgbouncer: str, asyncpg: str, behind: bool) -> None:
    from . import atlas

    rows = atlas.holding(postgres, pgbouncer, asyncpg)
    print("What differs between versions, and what was measured for these (VERSIONS.md):")
    for row, answer in rows:
        print(f"  - {row['title']}: {answer}  [{row['lesson']}]")
    if not rows:
        print("  nothing was measured for these versions")
    if behind and not pgbouncer:
        print("  The pooler's version is not known, so its rows are left out.")
