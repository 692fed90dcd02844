"""A PostgreSQL cluster with the ticket shop in it, made once; each pair then starts from a copy."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from . import cache, versions
from .apt import ROOM
from .errors import Unavailable
from .host import version
from .server import SUPERUSER, Ports

CONFIGURATION = Path(__file__).parents[2] / "docker"
SETTINGS = CONFIGURATION / "postgres/postgresql.conf"
SHOP = CONFIGURATION / "postgres/2_shop.sql"
SPARES = ("spare-1", "spare-2")
KEPT = 24 * 3600  # seconds: a clone of another version may use the same cache today
# The provider that needs nothing of the operating system came with PostgreSQL 17.
LOCALE = {True: ("--locale-provider=builtin", "--locale=C.UTF-8"), False: ("--locale=C.UTF-8",)}

# What subprocess needs to run a program as the servers' user.
AS_SERVER_USER: dict[str, Any] = (
    {"user": cache.SERVER_USER.pw_uid, "group": cache.SERVER_USER.pw_gid, "extra_groups": []}
    if cache.SERVER_USER
    else {}
)


def password() -> str:
    """One for each cache folder: other users of this machine can reach 127.0.0.1, too."""
    path = cache.folder() / "password"
    if not path.exists():
        with cache.locked(path):
            # Renamed only when complete: others look for it without the lock.
            if not path.exists():
                with open(
                    f"{path}.new", "w", opener=lambda name, flags: os.open(name, flags, 0o600)
                ) as file:
                    file.write(secrets.token_urlsafe(12))
                os.rename(f"{path}.new", path)
    return path.read_text()


def take(programs: Path, data: Path) -> None:
    """Make `data` a separate cluster with the ticket shop, for the PostgreSQL in `programs`.
    Raises `Unavailable`.

    Copying 1,300 files takes longer than all the rest of opening a pair, so the copies for the next
    two are made ahead.
    """
    original = _provide(programs)
    if not any(_taken(original / spare, data) for spare in SPARES):
        copied = subprocess.run(
            ["cp", "-a", original / "shop", data], capture_output=True, text=True
        )
        if copied.returncode:
            raise Unavailable(
                f"The shop's data could not be copied to {data}:\n{copied.stderr[-300:]}\n{ROOM}"
            )
    # util-linux's flock: one process makes the spare, and repairs what a killed one left. It goes
    # on by itself.
    if shutil.which("flock"):
        make = "; ".join(
            f"[ -d {spare} ] || {{ rm -rf fresh && nice cp -a shop fresh && mv fresh {spare}; }}"
            for spare in SPARES
        )
        subprocess.run(
            ["sh", "-c", f"flock --nonblock spare.lock sh -c '{make}' >/dev/null 2>&1 &"],
            cwd=original,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def _taken(spare: Path, data: Path) -> bool:
    """A rename is atomic: of several notebooks, one gets it."""
    try:
        spare.rename(data)
    except OSError:
        return False
    return True


def _provide(programs: Path) -> Path:
    """The folder with the original, made once for this build of PostgreSQL and this schema."""
    build = (programs / "postgres").stat()
    recipe = hashlib.sha256(
        b"".join(
            [
                f"{programs}{build.st_size}{build.st_mtime_ns}".encode(),
                password().encode(),
                SETTINGS.read_bytes(),
                SHOP.read_bytes(),
                Path(__file__).read_bytes(),
            ]
        )
    )
    family = hashlib.sha256(str(programs).encode()).hexdigest()[:4]
    ready = cache.folder() / f"shop-{family}-{recipe.hexdigest()[:12]}"
    with cache.locked(cache.folder() / "shop"):
        if not ready.exists():
            _sweep(family)
            fresh = Path(tempfile.mkdtemp(prefix=f"{ready.name}.", dir=ready.parent))
            fresh.chmod(0o755)
            (fresh / "shop").mkdir(mode=0o700)
            if cache.SERVER_USER:
                os.chown(fresh / "shop", cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
            try:
                _make(programs, fresh / "shop")
            except subprocess.CalledProcessError as error:
                raise Unavailable(
                    f"The ticket shop could not be made in {ready.parent}:\n"
                    f"{(error.stderr or error.stdout or str(error)).strip()[-1500:]}"
                ) from error
            fresh.rename(ready)
        os.utime(ready)  # used now
    return ready


def _sweep(family: str) -> None:
    """Remove the clusters of older versions, each by a rename first: whatever has begun to go is
    never taken for whole."""
    for outdated in cache.folder().glob(f"shop-{family}-*"):
        if time.time() - outdated.stat().st_mtime > KEPT:
            doomed = (
                outdated
                if outdated.suffix == ".outdated"
                else outdated.rename(f"{outdated}.outdated")
            )
            shutil.rmtree(doomed, ignore_errors=True)


def _make(programs: Path, data: Path) -> None:
    def run(*command: object, **more: Any) -> None:
        subprocess.run(
            [str(part) for part in command],
            check=True,
            cwd=data,
            capture_output=True,
            text=True,
            **more,
        )

    with tempfile.NamedTemporaryFile("w", dir=cache.folder() / "run") as secret:
        secret.write(password())
        secret.flush()
        if cache.SERVER_USER:
            os.chown(secret.name, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
        run(
            programs / "initdb",
            "-D",
            data,
            "-U",
            SUPERUSER,
            f"--pwfile={secret.name}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *LOCALE[versions.key(version(programs / "postgres")) >= (17,)],
            "--wal-segsize=1",
            "--no-sync",
            "--no-instructions",
            **AS_SERVER_USER,
        )
    with open(data / "postgresql.conf", "a") as file:
        file.write(SETTINGS.read_text())
    with contextlib.closing(Ports(1)) as ports:
        (port,) = ports.numbers
        control = (programs / "pg_ctl", "-D", data, "-l", data / "making.log", "--wait")
        run(
            *control,
            "start",
            "-o",
            # No segment of the WAL is kept for later: each would be copied with the data.
            f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
            "-c min_wal_size=2MB",
            **AS_SERVER_USER,
        )
        try:
            run(
                programs / "psql",
                "--quiet",
                "--no-psqlrc",
                "--file",
                SHOP,
                env=os.environ
                | {
                    "PGHOST": "127.0.0.1",
                    "PGPORT": str(port),
                    "PGUSER": SUPERUSER,
                    "PGDATABASE": "postgres",
                    "PGPASSWORD": password(),
                    "POSTGRES_PASSWORD": password(),
                },
            )
        finally:
            run(*control, "stop", "-m", "fast", **AS_SERVER_USER)
    (data / "making.log").unlink()
