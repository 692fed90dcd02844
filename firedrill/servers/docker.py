"""The servers as containers of docker-compose.yml, a project for each notebook: kind `docker`."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
from functools import cached_property
from pathlib import Path

from . import versions
from .errors import PortTaken, Unavailable
from .route import Address
from .server import DATABASE, POOL_MODES, Ports, Server, Status
from .stack import Stack
from .versions import Wanted

REPOSITORY = Path(__file__).parents[2]
PROJECT = "asyncpg-fire-drills"  # the name in docker-compose.yml: what a reader starts by hand


def docker(*arguments: str, timeout: float = 300, **environment: str) -> str:
    """What the command printed. Raises `Unavailable` with the command's own words."""
    try:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=REPOSITORY,
            env=os.environ | environment,
            text=True,
            capture_output=True,
            timeout=timeout,
        )
    except OSError:
        raise Unavailable("Looked for the command `docker`: not found.") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"`docker {arguments[0]}` gave no answer in {timeout:.0f} s: is the Docker engine well?"
        ) from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        if "address already in use" in words or "port is already allocated" in words:
            raise PortTaken(words[-500:])
        raise Unavailable(f"`docker {' '.join(arguments)}` failed:\n{words[-1000:]}")
    return done.stdout


# The images are named in docker-compose.yml.
PAIR = Wanted("17", "1.24")
OTHER_VERSIONS = (
    f"its images have PostgreSQL {PAIR.postgres} and PgBouncer {PAIR.pgbouncer}. "
    "For other versions: FIREDRILL_SERVERS=embedded"
)


def has(wanted: Wanted) -> bool:
    return wanted.postgres in (None, PAIR.postgres) and wanted.pgbouncer in (None, PAIR.pgbouncer)


def is_up() -> bool:
    """Has the reader started the course's own project with `docker compose up`?"""
    try:
        return bool(
            docker(
                "ps", "--quiet", f"--filter=label=com.docker.compose.project={PROJECT}", timeout=5
            )
        )
    except Unavailable:
        return False


def check() -> None:
    """Raises `Unavailable` where there is no client, no engine or no compose."""
    try:
        docker("version", "--format={{.Server.Version}}", timeout=10)
    except Unavailable as error:
        if "not found" in str(error):
            raise
        raise Unavailable(
            "The command `docker` is here, but no Docker engine answers it.\nStart the engine "
            "(Docker Desktop, or "
            f"`systemctl start docker`): {str(error).splitlines()[-1]}"
        ) from None
    try:
        docker("compose", "version", timeout=10)
    except Unavailable:
        raise Unavailable(
            "A Docker engine answers, but `docker compose` is missing: install its plugin, 2.x."
        ) from None


# Attempts: on a busy machine the runtime may give up freezing a container.
PAUSES = 3


class Container(Server):
    try_again = 0.03  # each attempt goes through the engine's proxy, a process too

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
        said = docker("exec", self.container, program, "--version")
        return versions.short(self.name, versions.read(said))

    def log(self) -> str:
        done = subprocess.run(
            ["docker", "logs", self.container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
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
        for attempt in range(1, PAUSES + 1):
            try:
                docker("pause", self.container)
                return
            except Unavailable as error:
                if attempt == PAUSES or "unable to freeze" not in str(error):
                    raise

    def _resume(self) -> None:
        docker("unpause", self.container)


class DockerStack(Stack):
    kind = "docker"
    address = ("postgres", 5432)

    def __init__(self, wanted: Wanted = Wanted()) -> None:  # noqa: B008  a tuple
        if not has(wanted):
            raise Unavailable(f"Docker: {OTHER_VERSIONS}")
        if not shutil.which(
            "docker"
        ):  # the rest of check() takes two processes: it waits until something fails
            check()
        # The containers' users read these files. PostgreSQL passes over a script that it cannot
        # read, without a word.
        closed = [
            path
            for path in sorted((REPOSITORY / "docker").rglob("*"))
            if not path.stat().st_mode & stat.S_IROTH
        ]
        if closed:
            raise Unavailable(
                f"The containers may not read {closed[0].relative_to(REPOSITORY)} (a umask of "
                "077?).\n"
                "Let them: chmod -R o+rX docker"
            )
        super().__init__(wanted)

    @property
    def project(self) -> str:
        return f"firedrill-{self.folder.name.removeprefix('docker-')}"

    def _cleanup(self) -> str:
        return f"docker compose --project-name {self.project} down --volumes --timeout 0\n"

    def _open(self) -> None:
        self._ports = Ports(2)
        postgres, pgbouncer = self._ports.numbers
        password = secrets.token_urlsafe(12)
        settings = self.folder / "pgbouncer.ini"  # the pair's own, as it may be rerouted
        shutil.copyfile(REPOSITORY / "docker/pgbouncer/pgbouncer.ini", settings)
        settings.chmod(0o644)  # for the container's user; it holds no password
        # Fixed ports: with "127.0.0.1::5432" a container would get another one each time that it
        # starts.
        try:
            docker(
                "compose",
                "--project-name",
                self.project,
                "--progress=quiet",
                "up",
                "--detach",
                FIREDRILL_POSTGRES_PORT=str(postgres),
                FIREDRILL_PGBOUNCER_PORT=str(pgbouncer),
                FIREDRILL_PASSWORD=password,
                FIREDRILL_NO_HEALTHCHECK="true",
                FIREDRILL_PGBOUNCER_SETTINGS=str(settings),
            )
        except Unavailable:
            check()  # what is missing, in fewer words
            raise
        self.postgres = Container(
            "PostgreSQL", postgres, DATABASE, password, f"{self.project}-postgres-1"
        )
        self.pgbouncer = Container(
            "PgBouncer", pgbouncer, POOL_MODES[0], password, f"{self.project}-pgbouncer-1"
        )
        for server in (self.postgres, self.pgbouncer):
            server.start(timeout=180)  # initdb and the shop's data, maybe on a busy disk

    def proxy_addresses(self) -> list[tuple[str, str]]:
        """The gateway of the pair's own network, which is an address of this machine if the engine
        runs on it. Docker Desktop's engine runs in a virtual machine, where containers reach the
        machine's 127.0.0.1 by a name.
        https://docs.docker.com/desktop/features/networking/#i-want-to-connect-from-a-container-to-a-service-on-the-host
        """
        gateway = docker(
            "network",
            "inspect",
            "--format={{(index .IPAM.Config 0).Gateway}}",
            f"{self.project}_default",
        ).strip()
        return [(gateway, gateway), ("127.0.0.1", "host.docker.internal")]

    def pgbouncer_reaches(self, address: Address) -> bool:
        """A firewall of this machine may stand between a container and its gateway."""
        assert isinstance(self.pgbouncer, Container)
        try:
            docker(
                "exec",
                self.pgbouncer.container,
                "timeout",
                "3",
                "bash",
                "-c",
                f"exec 3<>/dev/tcp/{address[0]}/{address[1]}",
            )
        except Unavailable:
            return False
        return True

    def _reap(self) -> None:
        """Containers are the engine's children."""
