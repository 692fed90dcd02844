"""The command `firedrill servers`: a pair for other tools, and the versions that can be had."""

from __future__ import annotations

import signal
import sys

from . import servers
from .servers import prefixes
from .servers.server import POOL_MODES, SUPERUSER


def pair() -> int:
    """Open a pair, print how to connect, and keep it until Ctrl-C."""
    with servers.open() as stack:
        print(stack)
        print(f"PostgreSQL           {stack.postgres.dsn()}")
        print(f"  as the superuser   {stack.postgres.dsn(user=SUPERUSER)}")
        for mode in POOL_MODES:
            print(f"PgBouncer {mode:<12}{stack.pgbouncer.dsn(mode)}")
        print(f"  its console        {stack.pgbouncer.dsn('pgbouncer', user=SUPERUSER)}")
        print("Ctrl-C closes them and removes their data.", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True:
            signal.pause()


def versions() -> int:
    """List what is unpacked and what each source has now."""
    print(f"Unpacked in {servers.cache.folder()}:")
    unpacked = prefixes.unpacked()
    for one in unpacked:
        pgbouncer = f" and PgBouncer {one.pgbouncer}" if one.pgbouncer else ""
        print(f"  PostgreSQL {one.postgres}{pgbouncer}  ({one.path.name})")
    if not unpacked:
        print("  nothing yet")
    print("Can be fetched (each source is asked now):", flush=True)
    for line in servers.debian.had():
        print(f"  {line}")
    print(
        "Any two make a pair: FIREDRILL_POSTGRES=18 FIREDRILL_PGBOUNCER=1.26 make lab\n"
        "Without these two variables it is PostgreSQL 17 and PgBouncer 1.24."
    )
    return 0
