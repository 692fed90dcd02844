"""The servers as containers of docker-compose.yml, a project for each notebook: kind `docker`."""

from __future__ import annotations

import os
import secrets
import stat
import subprocess
from functools import cached_property
from pathlib import Path

from .errors import PortTaken, Unavailable
from .host import version_in
from .server import DATABASE, POOL_MODES, Server, Status, free_ports
from .stack import Stack

REPOSITORY = Path(__file__).parents[2]
PROJECT = "asyncpg-fire-drills"     # the name in docker-compose.yml: what a reader starts by hand


def docker(*arguments: str, timeout: float = 300, **environment: str) -> str:
    """What the command printed. Raises `Unavailable` with the command's own words."""
    try:
        done = subprocess.run(["docker", *arguments], cwd=REPOSITORY, env=os.environ | environment, text=True,
                              capture_output=True, timeout=timeout)
    except OSError:
        raise Unavailable("Looked for the command `docker`: not found.") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`docker {arguments[0]}` gave no answer in {timeout:.0f} s: is the Docker engine well?") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        if "address already in use" in words or "port is already allocated" in words:
            raise PortTaken(words[-500:])
        raise Unavailable(f"`docker {' '.join(arguments)}` failed:\n{words[-1000:]}")
    return done.stdout


def is_up() -> bool:
    """Has the reader started the course's own project with `docker compose up`?"""
    try:
        return bool(docker("ps", "--quiet", f"--filter=label=com.docker.compose.project={PROJECT}", timeout=5))
    except Unavailable:
        return False


def check() -> None:
    """Raises `Unavailable` where there is no client, no engine or no compose."""
    try:
        docker("version", "--format={{.Server.Version}}", timeout=10)
    except Unavailable as error:
        if "not found" in str(error):
            raise
        raise Unavailable("The command `docker` is here, but no Docker engine answers it.\nStart the engine (Docker Desktop, or "
                          f"`systemctl start docker`): {str(error).splitlines()[-1]}") from None
    try:
        docker("compose", "version", timeout=10)
    except Unavailable:
        raise Unavailable("A Docker engine answers, but `docker compose` is missing: install its plugin, 2.x.") from None


class Container(Server):
    def __init__(self, name: str, port: int, database: str, password: str, container: str) -> None:
        super().__init__(name, port, database, password)
        self.container = container

    @property
    def status(self) -> Status:
        state = docker("inspect", "--format={{.State.Status}}", self.container).strip()
        return "running" if state == "running" else "paused" if state == "paused" else "stopped"

    @cached_property
    def version(self) -> str:
        program = {"PostgreSQL": "postgres", "PgBouncer": "pgbouncer"}[self.name]
        major, minor = version_in(docker("exec", self.container, program, "--version"))
        return f"{major}" if self.name == "PostgreSQL" else f"{major}.{minor}"

    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self.container], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout

    def sh(self, command: str) -> None:
        docker("exec", self.container, "sh", "-c", f'cd "$PGDATA" && {command}')

    # Not through compose, which takes two to three times longer.
    def _start(self) -> None:
        docker("start", self.container)

    def _stop(self) -> None:
        docker("stop", self.container)

    def _kill(self) -> None:
        docker("kill", self.container)

    def _pause(self) -> None:
        docker("pause", self.container)

    def _resume(self) -> None:
        docker("unpause", self.container)


class DockerStack(Stack):
    kind = "docker"

    def __init__(self) -> None:
        check()
        # The containers' users read these files. PostgreSQL passes over a script that it cannot read, without a word.
        closed = [path for path in sorted((REPOSITORY / "docker").rglob("*")) if not path.stat().st_mode & stat.S_IROTH]
        if closed:
            raise Unavailable(f"The containers may not read {closed[0].relative_to(REPOSITORY)} (a umask of 077?).\n"
                              "Let them: chmod -R o+rX docker")
        super().__init__()

    @property
    def project(self) -> str:
        return f"firedrill-{self.folder.name.removeprefix('docker-')}"

    def _burial(self) -> str:
        return f"docker compose --project-name {self.project} down --volumes --timeout 0\n"

    def _open(self) -> None:
        postgres, pgbouncer = free_ports(2)
        password = secrets.token_urlsafe(12)
        # Fixed ports: with "127.0.0.1::5432" a container would get another one each time that it starts.
        docker("compose", "--project-name", self.project, "--progress=quiet", "up", "--detach",
               FIREDRILL_POSTGRES_PORT=str(postgres), FIREDRILL_PGBOUNCER_PORT=str(pgbouncer), FIREDRILL_PASSWORD=password,
               FIREDRILL_NO_HEALTHCHECK="true")
        self.postgres = Container("PostgreSQL", postgres, DATABASE, password, f"{self.project}-postgres-1")
        self.pgbouncer = Container("PgBouncer", pgbouncer, POOL_MODES[0], password, f"{self.project}-pgbouncer-1")
        for server in (self.postgres, self.pgbouncer):
            server.start()

    def _reap(self) -> None:
        """Containers are the engine's children."""
