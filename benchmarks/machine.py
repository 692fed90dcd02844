"""Versions and machine: what a reader needs to judge the figures. No names, no paths."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version

from firedrill.servers import Unavailable, debian, docker

PACKAGES = (
    "asyncpg",
    "psycopg",
    "sqlalchemy",
    "testcontainers",
    "pytest-postgresql",
    "nbval",
    "nbclient",
    "pytest",
    "ipykernel",
)
IMAGES = (
    ("PostgreSQL, docker", "postgres:17", "postgres"),
    ("PgBouncer, docker", "localhost/asyncpg-fire-drills/pgbouncer", "pgbouncer"),
)


def facts() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.machine()}, {_system()}",
        "load average (1, 5, 15 min)": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    try:
        prefix = debian.provide()
        (postgres,) = prefix.glob("usr/lib/postgresql/*/bin/postgres")
        found |= {
            "PostgreSQL, embedded": _said([str(postgres), "--version"]),
            "PgBouncer, embedded": _said([str(prefix / "usr/sbin/pgbouncer"), "--version"]),
        }
    except Unavailable:
        found["embedded servers"] = "cannot be had here"
    try:
        docker.check()
    except Unavailable:
        return found | {"Docker engine": "none answers"}
    found |= {
        "Docker engine": docker.docker("version", "--format={{.Server.Version}}").strip(),
        "Docker Compose": docker.docker("compose", "version", "--short").strip(),
    }
    for name, image, program in IMAGES:
        try:
            pulled = (
                docker.docker("image", "inspect", "--format={{len .RepoDigests}}", image).strip()
                != "0"
            )
            found[name] = _said(
                [
                    "docker",
                    "run",
                    "--rm",
                    "--network=none",
                    f"--entrypoint={program}",
                    image,
                    "--version",
                ]
            ) + (
                ""
                if pulled or image.startswith("localhost/")
                else "; the image is a stand-in built on this machine: no registry was asked"
            )
        except Unavailable:
            found[name] = f"no image {image}"
    return found


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _said(command: list[str]) -> str:
    """The first line without the program's name: "PgBouncer 1.24.1" gives "1.24.1"."""
    first = subprocess.run(command, text=True, capture_output=True).stdout.partition("\n")[0]
    return first.removeprefix("postgres (PostgreSQL) ").removeprefix("PgBouncer ")
