"""The servers as ordinary processes in a folder that vanishes with the notebook: kinds `embedded`
and `host`."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from functools import cached_property
from pathlib import Path

from . import cache, debian, host, template, versions
from .errors import PortTaken
from .host import Programs
from .server import DATABASE, POOL_MODES, ROLE, SUPERUSER, Ports, Server, Status
from .stack import Stack
from .template import AS_SERVER_USER, CONFIGURATION

# The number of a process may have been given to another since it was written down, hence `ours`: a
# shell's `read` drops the zeros between the arguments. Frozen processes must go on to hear the
# signal. A PostgreSQL that was killed has left a shared memory segment. Builtins of the shell do
# most of it: a process more costs as much as all of them.
CLEANUP = """
ours() {
    text=
    if [ -d /proc/self ]
    then read -r text <"/proc/$1/cmdline"
    else text=$(ps -o args= -p "$1")
    fi
    case $text in *"$PWD"*) return 0; esac
    return 1
}
again() { try=$((try + 1)); [ $try -le "$1" ]; }
for file in *.pid; do
    try=0; until [ -s "$file" ]; do again 50 || break; sleep 0.02; done
    read -r pid <"$file" && ours "$pid" || continue
    kill -QUIT "$pid"
    children=; read -r children <"/proc/$pid/task/$pid/children"
    [ -d /proc/self ] || children=$(pgrep -P "$pid")
    kill -CONT "$pid" $children
    try=0; while again 250; do ours "$pid" || continue 2; sleep 0.02; done
    kill -KILL "$pid"
done 2>/dev/null
if [ -f data/postmaster.pid ]; then
    ipcrm -m "$(sed -n 7p data/postmaster.pid | awk '{print $2}')"
fi 2>/dev/null
"""
# Writes its process number down before it becomes the server. Until then the file is there and
# empty: no server ever runs without the cleanup knowing of it.
NOTE_AND_RUN = 'echo $$ >"$1.pid" && shift && exec "$@"'


class Process(Server):
    def __init__(
        self,
        name: str,
        port: int,
        database: str,
        password: str,
        folder: Path,
        argv: list[str],
        quit_signal: signal.Signals,
    ) -> None:
        super().__init__(name, port, database, password)
        self.folder, self.argv, self.quit_signal = folder, argv, quit_signal
        self.process: subprocess.Popen[bytes] | None = None
        self._is_paused = False

    @property
    def status(self) -> Status:
        if self.process is None or self.process.poll() is not None:
            return "stopped"
        return "paused" if self._is_paused else "running"

    @cached_property
    def version(self) -> str:
        return versions.short(self.name, host.version(Path(self.argv[0])))

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name.lower()}.log"

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def sh(self, command: str) -> None:
        subprocess.run(
            ["sh", "-c", command], cwd=self.folder / "data", check=True, **AS_SERVER_USER
        )

    def psql(self, database: str | None = None, *, user: str = ROLE) -> str:
        """With the psql that came with the server: there may be no other one."""
        own = Path(self.argv[0]).with_name("psql")
        command = super().psql(database, user=user)
        return f"{own.parent}/{command}" if own.is_file() else command

    def _start(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            try:
                probe.bind((self.host, self.port))
            except OSError:
                raise PortTaken(
                    f"{self.name} cannot listen on port {self.port}: another program does.\n"
                    "Run the set-up cell again: it opens a new pair on other ports."
                ) from None
        self._is_paused = False
        number = self.folder / f"{self.name.lower()}.pid"
        number.write_text("")
        if cache.SERVER_USER:
            os.chown(number, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
        with open(self._log, "ab") as log:
            # A separate session: interrupting a kernel signals the whole process group that it is
            # in.
            self.process = subprocess.Popen(
                ["sh", "-c", NOTE_AND_RUN, "sh", self.name.lower(), *self.argv],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **AS_SERVER_USER,
            )

    def _stop(self) -> None:
        assert self.process
        self.process.send_signal(self.quit_signal)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._kill()

    def _kill(self) -> None:
        assert self.process
        family = self._freeze()  # nobody notices, nobody cleans up
        _signal(family, signal.SIGKILL)
        self.process.wait()
        _wait_until(family, "Z")

    def _pause(self) -> None:
        self._freeze()
        self._is_paused = True

    def _resume(self) -> None:
        assert self.process
        _signal([self.process.pid, *_children(self.process.pid)], signal.SIGCONT)
        self._is_paused = False

    def _freeze(self) -> list[int]:
        assert self.process
        parent = self.process.pid
        os.kill(parent, signal.SIGSTOP)  # the parent first: then no child can be born
        _wait_until([parent], "T")
        family = [parent, *_children(parent)]
        _signal(family, signal.SIGSTOP)
        _wait_until(family, "TZ")
        return family


def _children(pid: int) -> list[int]:
    """Every backend of PostgreSQL leads its own process group, so killpg would miss them."""
    if sys.platform == "linux":
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return [
        int(child)
        for child in subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, text=True
        ).stdout.split()
    ]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _wait_until(pids: list[int], states: str) -> None:
    """A signal has been sent when kill() returns, and takes effect a moment later.

    For the letters see proc(5).
    """
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while (
                sys.platform == "linux"
                and Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in states
            ):
                time.sleep(0.0005)


class Postgres(Process):
    def answers(self) -> bool:
        """Each question costs PostgreSQL a process: none is asked before it says that it is ready,
        in the eighth line of its file.
        https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/utils/pidfile.h
        """
        try:
            lines = (self.folder / "data/postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].startswith(("ready", "standby")) and super().answers()


class LocalStack(Stack):
    @abstractmethod
    def _programs(self) -> Programs: ...

    def _cleanup(self) -> str:
        return CLEANUP

    def _open(self) -> None:
        programs = self._programs()
        template.take(programs.postgres, self.folder / "data")
        password = template.password()
        if cache.SERVER_USER:
            os.chown(self.folder, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
        self._ports = Ports(2)
        port, bouncer_port = self._ports.numbers
        self.address = ("127.0.0.1", port)
        self.postgres = Postgres(
            "PostgreSQL",
            port,
            DATABASE,
            password,
            self.folder,
            [
                str(programs.postgres / "postgres"),
                "-D",
                str(self.folder / "data"),
                "-c",
                f"port={port}",
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ],
            signal.SIGINT,
        )
        (self.folder / "users").write_text(
            "".join(f'"{user}" "{password}"\n' for user in (SUPERUSER, ROLE))
        )
        with open(self.folder / "pgbouncer.ini", "w") as file:
            _pgbouncer_settings(port, bouncer_port, self.folder).write(file)
        for name in ("users", "pgbouncer.ini"):
            (self.folder / name).chmod(0o600)
            if cache.SERVER_USER:
                os.chown(self.folder / name, cache.SERVER_USER.pw_uid, cache.SERVER_USER.pw_gid)
        self.pgbouncer = Process(
            "PgBouncer",
            bouncer_port,
            POOL_MODES[0],
            password,
            self.folder,
            [str(programs.pgbouncer), str(self.folder / "pgbouncer.ini")],
            signal.SIGQUIT,
        )
        for server in (self.postgres, self.pgbouncer):
            server.start()

    def proxy_addresses(self) -> list[tuple[str, str]]:
        return [("127.0.0.1", "127.0.0.1")]

    def _reap(self) -> None:
        for server in (getattr(self, "postgres", None), getattr(self, "pgbouncer", None)):
            if isinstance(server, Process) and server.process:
                server.process.wait(timeout=10)


def _pgbouncer_settings(postgres_port: int, port: int, folder: Path) -> configparser.ConfigParser:
    """The containers' own file, with this pair's addresses."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(CONFIGURATION / "pgbouncer/pgbouncer.ini")
    for mode in POOL_MODES:
        settings["databases"][mode] = re.sub(
            r"host=\S+ port=\S+",
            f"host=127.0.0.1 port={postgres_port}",
            settings["databases"][mode],
        )
    settings["pgbouncer"].update(
        listen_addr="127.0.0.1", listen_port=str(port), auth_file=str(folder / "users")
    )
    return settings


class EmbeddedStack(LocalStack):
    """Debian's packages in a private folder, see `debian`."""

    kind = "embedded"

    def _programs(self) -> Programs:
        return Programs(*debian.programs(self.wanted))


class HostStack(LocalStack):
    """What is installed on this machine, see `host`."""

    kind = "host"

    def _programs(self) -> Programs:
        return host.find(self.wanted)
