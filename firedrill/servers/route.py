"""Point a PgBouncer to another address of its PostgreSQL while it runs: for what is to stand
between the two."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import Unavailable
from .server import POOL_MODES, SUPERUSER, Server

if (
    TYPE_CHECKING
):  # the servers are fetched before anything is installed, so psycopg is imported where it is used
    import psycopg
    from psycopg.rows import DictRow

DATABASE = re.compile(
    r"^(\w+ *= *)host=\S+ port=\d+", re.MULTILINE
)  # a line of the section [databases]
Address = tuple[str, int]
PATIENCE = 5.0  # seconds: a RELOAD is done within some ms


def reroute(pgbouncer: Server, settings: Path, new: Address) -> None:
    """Change `settings`, its own file, and have it read. A PgBouncer that is stopped reads it when
    it starts.

    RELOAD would set back what was SET on the console, as the file says something else; so that is
    set again.
    https://www.pgbouncer.org/usage.html#process-controlling-commands
    """
    from psycopg import sql

    if pgbouncer.status == "paused":
        raise Unavailable(
            f"{pgbouncer.name} is paused, so it cannot be pointed to {new[0]}:{new[1]}. Resume "
            "it first."
        )
    # Written in place: a container sees this very file, not its name.
    settings.write_text(DATABASE.sub(rf"\g<1>host={new[0]} port={new[1]}", settings.read_text()))
    if pgbouncer.status == "stopped":
        return
    with _console(pgbouncer) as console:
        before = _changeable(console)
        console.execute("reload")
        for key, value in _changeable(console).items():
            if before.get(key, value) != value:
                console.execute(
                    sql.SQL("set {} = {}").format(sql.Identifier(key), sql.Literal(before[key]))
                )
        deadline = time.monotonic() + PATIENCE
        while not all(
            (row["host"], int(row["port"])) == new
            for row in console.execute("show databases")
            if row["name"] in POOL_MODES
        ):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{pgbouncer.name} was told to reach PostgreSQL at {new[0]}:{new[1]} and "
                    "does not.\n"
                    f"Its log ends with:\n{pgbouncer.log().strip()[-1000:]}"
                )
            time.sleep(0.01)
        console.execute(
            "reconnect"
        )  # its connections to the old address: closed as soon as nobody uses them


def _console(pgbouncer: Server) -> psycopg.Connection[DictRow]:
    """It takes simple queries only, hence ClientCursor.

    An administrator gets in beyond max_client_conn, too.
    """
    import psycopg
    from psycopg.rows import dict_row

    try:
        return psycopg.connect(
            pgbouncer.dsn("pgbouncer", user=SUPERUSER),
            autocommit=True,
            connect_timeout=5,
            row_factory=dict_row,
            cursor_factory=psycopg.ClientCursor,
        )
    except psycopg.OperationalError as error:
        raise Unavailable(f"{pgbouncer.name}'s console does not answer: {error}") from None


def _changeable(console: psycopg.Connection[DictRow]) -> dict[str, str]:
    return {
        row["key"]: row["value"]
        for row in console.execute("show config")
        if row["changeable"] == "yes"
    }
