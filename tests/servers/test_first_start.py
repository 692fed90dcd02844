"""The first start, on an empty cache, and all that can stand in its way.

Each has its message, and nothing half-made is used.
"""

from __future__ import annotations

import http.server
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from firedrill.servers import apt, cache

from ..leftovers import eventually, processes_of

ROOT = Path(__file__).parents[2]
OPEN = """
from firedrill import servers
with servers.open() as stack:
    print(stack, stack.pgbouncer.answers())
"""
OPENED = "PostgreSQL 17 and PgBouncer 1.24, a pair of your own: running, running True"


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="first start ü ") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        assert eventually(lambda: not processes_of(Path(folder)), 30), (
            "copies for the next pairs are still being made"
        )


def run(
    cache_folder: Path | str, code: str = OPEN, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=_environment(cache_folder, environment),
    )


def _environment(cache_folder: Path | str, more: dict[str, str]) -> dict[str, str]:
    return (
        os.environ | {"FIREDRILL_CACHE": str(cache_folder), "FIREDRILL_SERVERS": "embedded"} | more
    )


def message(done: subprocess.CompletedProcess[str]) -> str:
    """What is told below the traceback, which a notebook does not show."""
    assert done.returncode == 1, done
    lines = done.stderr[done.stderr.rindex("firedrill.servers.errors.") :].splitlines()
    assert len(lines) <= 7, "a few lines"
    return "\n".join(lines)


def test_killed_while_unpacking_it_is_repaired_by_two_notebooks_at_once(room: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", OPEN],
        cwd=ROOT,
        env=_environment(room, {}),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    assert eventually(lambda: any(room.glob("debian-*/usr/lib/*/libpq*")), 60)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not any(room.glob("debian-*/made-for"))

    both = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN],
            cwd=ROOT,
            env=_environment(room, {}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=90) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all(out.endswith(OPENED + "\n") for out, _ in said)
    assert sum("Fetching" in out for out, _ in said) == 1, "one fetches, the other waits"
    assert eventually(lambda: not any((room / "run").glob("*/"))), "the pairs have gone"


@pytest.mark.skipif(not cache.IS_ROOT, reason="only root can become another user")
def test_a_normal_user_with_a_home_of_spaces_and_umlauts(room: Path) -> None:
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _may_run(path)), None)
    if not python:
        pytest.skip("no Python 3.11 that another user may run")
    user = pwd.getpwnam("nobody")
    home, clone = room / "Ünser Zuhause", room / "clone"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    for folder in ("firedrill", "docker"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [python, "-c", OPEN],
        cwd=clone,
        env={"HOME": str(home), "PATH": os.defpath},
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.endswith(OPENED + "\n"), done.stderr
    assert {path.name for path in home.iterdir()} == {".cache"}
    assert (home / ".cache/firedrill/password").stat().st_mode & 0o777 == 0o600


def _may_run(python: str) -> bool:
    try:
        return (
            subprocess.run(
                [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
                cwd="/",
                capture_output=True,
                user=pwd.getpwnam("nobody").pw_uid,
            ).returncode
            == 0
        )
    except OSError:
        return False


def test_the_servers_are_fetched_with_nothing_but_python() -> None:
    """`make` does so while uv still installs the rest. -S: without site-packages."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from firedrill import servers; from firedrill.authoring import bootstrap\n"
        "print(servers.KINDS.keys())"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.stdout == "dict_keys(['embedded', 'docker', 'host'])\n", done.stderr


def test_an_archive_that_cannot_be_reached(room: Path) -> None:
    told = message(run(room, FIREDRILL_DEBIAN_ARCHIVE="http://127.0.0.1:9/debian"))
    assert "could not fetch the servers from http://127.0.0.1:9/debian" in told
    assert "Is the network up?" in told
    assert "FIREDRILL_SERVERS=docker" in told
    assert not any(room.glob("apt-*"))


def test_an_archive_whose_signature_is_wrong(room: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        apt.Apt(Path(folder, "apt"))
        (signed,) = Path(folder).glob("apt/lists/*InRelease")
        forged = signed.read_bytes().replace(b"Suite: ", b"Suite:  ", 1)
        served = room / "dists" / "trixie" / "InRelease"
        served.parent.mkdir(parents=True)
        served.write_bytes(forged)
    handler: Any = partial(_Quiet, directory=str(room))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = message(
            run(room / "cache", FIREDRILL_DEBIAN_ARCHIVE=f"http://127.0.0.1:{server.server_port}")
        )
        server.shutdown()
    assert "is not signed" in told or "BADSIG" in told or "signature" in told, told
    assert not any((room / "cache").glob("debian-*/usr"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bare(room: Path) -> str:
    """A PATH with a shell, and with neither apt nor docker nor servers."""
    for name in ("sh", "cat", "rm"):
        (room / name).symlink_to(str(shutil.which(name)))
    return str(room)


def test_no_apt(room: Path, bare: str) -> None:
    assert "Looked for apt-get" in message(run(room / "cache", PATH=bare))


def test_no_way_at_all_lists_what_was_tried(room: Path, bare: str) -> None:
    told = message(run(room / "cache", PATH=bare, FIREDRILL_SERVERS=""))
    assert "No way to run PostgreSQL and PgBouncer was found" in told
    assert all(f"- {kind}: " in told for kind in ("embedded", "docker", "host"))


def test_a_cache_that_cannot_be_written_to() -> None:
    told = message(run("/proc/nowhere"))
    assert "/proc/nowhere, which cannot be written to" in told
    assert "FIREDRILL_CACHE=/some/folder" in told


@pytest.mark.skipif(not cache.IS_ROOT, reason="for root, who runs the servers as nobody")
def test_a_cache_that_nobody_may_enter(room: Path) -> None:
    (room / "private").mkdir(mode=0o700)
    assert "may not enter" in message(run(room / "private/cache"))


@pytest.mark.skipif(not cache.IS_ROOT, reason="only root can mount a small disk")
@pytest.mark.parametrize(
    ("megabytes", "needed", "says"),
    [
        (60, 250 << 20, "The servers need 250 MB of disk once"),
        (60, 0, "could not fetch"),
        (150, 0, "could not be unpacked"),
    ],
)
def test_a_full_disk(room: Path, megabytes: int, needed: int, says: str) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(room)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount a disk")
    try:
        # With 0, the check at the beginning finds enough: another program fills the disk meanwhile.
        code = OPEN.replace("with servers", f"servers.debian.NEEDED_BYTES = {needed}\nwith servers")
        told = message(run(room, code))
        assert says in told
        assert "Make room" in told
        assert not any(room.glob("debian-*/made-for"))
        assert not any(room.glob("apt-*"))
    finally:
        subprocess.run(["umount", room], check=True)
